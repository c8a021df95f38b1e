"""What a request gives to its operation: a query or a body, as values that fit a schema. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from ..schema import Schema, errors

#: Bytes that a body may have.
MOST_BYTES = 64 * 1024
#: Parameters that a query may have.
_MOST_PARAMETERS = 100
#: What labels begin with in a query.
LABEL = "label."
_LONGEST_TOLD = 300


class BadInput(Exception):
    """What is given cannot be used; the text says why, and does not repeat secrets."""


def from_query(query: str, schema: Schema) -> dict[str, Any]:
    """The parameters of a query, `label.x=y` gathered in `labels`. BadInput if they do not fit."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise BadInput(f"the query has more than {_MOST_PARAMETERS} parameters") from None
    given: dict[str, Any] = {}
    for name, text in pairs:
        inner = given.setdefault("labels", {}) if name.startswith(LABEL) else given
        key = name.removeprefix(LABEL)
        if key in inner or name == "labels":
            raise BadInput(f"the parameter {key!r} is there twice, or is none"[:_LONGEST_TOLD])
        inner[key] = _typed(text, schema["properties"].get(name, {}))
    return checked(given, schema)


def _typed(text: str, schema: Schema) -> str | int:
    is_number = schema.get("type") == "integer" and text.isascii() and text.isdigit()
    return int(text) if is_number and len(text) < 20 else text


def from_body(body: bytes, schema: Schema) -> dict[str, Any]:
    """The fields of a body in JSON. BadInput when it is none, or they do not fit."""
    try:
        value = json.loads(body, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except RecursionError:
        raise BadInput("the body is nested too deeply") from None
    except ValueError as error:
        told = "" if isinstance(error, UnicodeError) else f": {error}"
        raise BadInput(f"the body is not JSON{told}"[:_LONGEST_TOLD]) from None
    return checked(value, schema)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def checked(value: Any, schema: Schema) -> dict[str, Any]:
    """The value with defaults filled in, whole numbers as such. BadInput when it does not fit."""
    for error in errors(schema, value):
        where = ".".join(map(str, error.absolute_path))
        whole: Any = error.parent.schema if error.parent else {}  # `error` is of one alternative
        meant = whole.get("description")
        wrong = f"{error.instance!r} is none of these. {meant}" if meant else error.message
        message = f"{where}: {wrong}" if where else wrong
        raise BadInput(message[:_LONGEST_TOLD])
    properties: Mapping[str, Any] = schema["properties"]
    defaults = {name: sub["default"] for name, sub in properties.items() if "default" in sub}
    whole = {name: int(it) if isinstance(it, float) else it for name, it in value.items()}
    return {**defaults, **whole}
