"""Schemas and values are checked: every fault, each at its own place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing.exceptions import Unresolvable

from .completion import complete
from .fitting import fits
from .formats import CHECKER
from .loading import Bound, Schema, all_within, bound
from .metaschema import metaschema
from .parts import of_same_value

#: The schemas without a fault, as `repr` tells them apart. The check takes tens of
#: milliseconds, and each test of a filter finds all kinds again.
_sound: set[str] = set()


def check_schema(schema: Schema) -> None:
    """SchemaError when `schema` is no valid schema, a `$ref` leads nowhere, or a default is bad.

    A schema may contain itself, but for a value within its own: otherwise it would have no end.
    """
    text = repr(schema)
    if text not in _sound:
        _check(schema)
        _sound.add(text)


def _check(schema: Schema) -> None:
    if not fits(metaschema(), schema):
        Draft202012Validator.check_schema(schema)  # says what is wrong
    try:
        parts = list(all_within(schema))
    except Unresolvable as error:
        raise SchemaError(f"$ref {error.ref!r} leads nowhere") from None
    _check_ends(parts)
    for part in parts:
        if "$dynamicRef" in part:
            raise SchemaError("$dynamicRef is not supported: write $ref")
        _check_patterns(part)
        if "default" in part:
            _check_default(part)


def _check_ends(parts: Iterable[Bound]) -> None:
    ending: set[int] = set()

    def visit(part: Bound, around: frozenset[int]) -> None:
        if id(part) in around:
            wrong = "a $ref leads back to its own schema for the same value"
            raise SchemaError(f"{wrong}: refer to it in properties or items only")
        if id(part) not in ending:
            for sub in of_same_value(part):
                visit(sub, around | {id(part)})
            ending.add(id(part))

    for part in parts:
        visit(part, frozenset())


def _check_patterns(schema: Bound) -> None:
    patterns = [schema["pattern"]] if "pattern" in schema else []
    for pattern in (*patterns, *schema.get("patternProperties", ())):
        try:
            re.compile(pattern)
        except re.error as error:
            raise SchemaError(f"{pattern!r} is no regular expression: {error}") from None


def _check_default(schema: Bound) -> None:
    default = schema["default"]
    for error in _validator(schema).iter_errors(default):
        raise SchemaError(f"the default {default!r} is not valid: {error.message}")
    try:
        complete(schema, default)
    except RecursionError:
        raise SchemaError(f"the default {default!r} contains itself: leave it out") from None


def errors(schema: Schema, instance: object) -> Iterator[ValidationError]:
    """Every fault of `instance`, each at its own place.

    Where none of several alternatives fits, the faults are those of the likeliest one.
    """
    schema = bound(schema)
    if not fits(schema, instance):
        for error in _validator(schema).iter_errors(instance):
            yield from _leaves(error)


def _faulty_items(
    validator: Any, sub: Any, instance: object, schema: Schema
) -> Iterator[ValidationError]:
    """`items`, without a closer look at those entries that have no fault."""
    if isinstance(instance, list):
        for number in range(len(schema.get("prefixItems", ())), len(instance)):
            if not fits(sub, instance[number]):
                yield from validator.descend(instance[number], sub, path=number)


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"items": _faulty_items}
)


def _validator(schema: Bound) -> Any:
    return _Validator(schema, format_checker=CHECKER)


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    branches: dict[object, list[ValidationError]] = {}
    for child in error.context or ():
        if child.schema_path:  # there is none to `false`, which nobody can have meant
            branches.setdefault(child.schema_path[0], []).append(child)
    fitting = [found for found in branches.values() if not any(map(_is_of_other_type, found))]
    if not fitting:
        yield error
        return
    for child in min(fitting, key=len):
        yield from _leaves(child)


def _is_of_other_type(error: ValidationError) -> bool:
    """Whether this fault says that the alternative was not meant: wrong type or wrong constant."""
    return not error.path and error.validator in ("type", "const", "enum", "required", "not")
