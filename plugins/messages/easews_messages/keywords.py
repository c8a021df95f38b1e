"""The keywords of JSON Schema whose checks could take long, checked in linear time. Pure.

Whoever sends a message chooses what is checked: `pattern` and its like are RE2, and `uniqueItems`
compares no item with all others. Nothing is fetched from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.jsonschema import SchemaRegistry

from easews import compile_regexp

from .jsontext import write

#: What a schema may refer to besides its own parts.
NOTHING: SchemaRegistry = Registry()


def class_of(schema: Mapping[str, Any]) -> Any:
    """jsonschema's class for the dialect of `schema`."""
    return validator_for(schema, default=Draft202012Validator)


def validator_of(schema: Mapping[str, Any]) -> Any:
    """jsonschema's validator for `schema`, with these keywords."""
    keywords = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    }
    made: Any = extend(class_of(schema), keywords)  # type: ignore[no-untyped-call]
    return made(schema, registry=NOTHING)


@lru_cache(1000)
def regexp(pattern: str) -> Any:
    """`pattern`, compiled. re2 has an error of its own for one that is none."""
    return compile_regexp(pattern)


def _pattern(validator: Any, pattern: str, value: Any, _: object) -> Iterator[ValidationError]:
    if isinstance(value, str) and not regexp(pattern).search(value):
        yield ValidationError("")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], value: Any, _: object
) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for pattern, part in patterns.items():
            for name in value:
                if regexp(pattern).search(name):
                    yield from validator.descend(value[name], part, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, part: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    patterns = [regexp(pattern) for pattern in schema.get("patternProperties", ())]
    for name in value.keys() - schema.get("properties", {}).keys():
        if any(pattern.search(name) for pattern in patterns):
            continue
        if part is False:
            yield ValidationError("")
        elif part is not True:
            yield from validator.descend(value[name], part, path=name)


def _unique_items(validator: Any, wanted: bool, value: Any, _: object) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list):
        seen = {write(_comparable(item)) for item in value}
        if len(seen) < len(value):
            yield ValidationError("")


def _comparable(value: Any) -> Any:
    """The same for values that JSON Schema takes for equal: 1 and 1.0, and keys in any order."""
    if isinstance(value, dict):
        return {key: _comparable(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
