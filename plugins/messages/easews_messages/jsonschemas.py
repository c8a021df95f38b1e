"""JSON Schemas of messages: what is wrong with a value, in words that a Close may say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from jsonschema import ValidationError

from .keywords import validator_of
from .schemafaults import parts_of

_PLAIN = re.compile(r"[^\W\d][\w-]*").fullmatch
#: What a fault of each keyword is called; of others their name is.
_WORDS = {
    "additionalProperties": "has a field that is not allowed",
    "const": "is not the value that is allowed",
    "enum": "is none of the values that are allowed",
    "exclusiveMaximum": "is too large",
    "exclusiveMinimum": "is too small",
    "maxItems": "has too many items",
    "maxLength": "is too long",
    "maximum": "is too large",
    "minItems": "has too few items",
    "minLength": "is too short",
    "minimum": "is too small",
    "pattern": "does not have the form that is required",
    "unevaluatedProperties": "has a field that is not allowed",
    "uniqueItems": "has an item twice",
}


class MessageSchema:
    """A schema that has no `schema_faults`, to check values by."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = validator_of(schema)
        parts = [part for _, part in parts_of(schema, ())]
        self._names = {name for part in parts for name in part.get("properties", ())}
        self._names |= {name for part in parts for name in part.get("required", ())}

    def fault(self, value: Any) -> str | None:
        """What is wrong with `value`, None when nothing is. It shows names that the schema has,
        and nothing of the value.
        """
        try:
            error = next(self._validator.iter_errors(value), None)
        except RecursionError:
            return "is nested too deep to be checked"
        except ArithmeticError:  # such as multipleOf of a whole number that no double can hold
            return "has a number that is too large"
        return None if error is None else f"{self._place(error)} {_words(error)}"

    def _place(self, error: ValidationError) -> str:
        return "$" + "".join(map(self._step, error.absolute_path))

    def _step(self, key: str | int) -> str:
        if isinstance(key, int):
            return f"[{key}]"
        if key not in self._names:
            return ".*"  # whoever sends the message has chosen it
        return f".{key}" if _PLAIN(key) else f"['{key}']"


def _words(error: ValidationError) -> str:
    keyword = str(error.validator)
    wanted, value = cast(Any, error.validator_value), cast(Any, error.instance)
    if keyword == "type":
        return f"is not of type {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
    if keyword == "required":
        return f"lacks {next(name for name in wanted if name not in value)!r}"
    return _WORDS.get(keyword, f"does not fit {keyword}")
