"""What is wrong with a JSON Schema that a config has, each with its place. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jsonschema import SchemaError
from referencing import Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from .keywords import NOTHING, class_of, regexp, validator_of

_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_DATA = ("const", "enum", "default", "examples")
Path = tuple[str | int, ...]


class SchemaFault(NamedTuple):
    """A fault of a schema: where, what is wrong, and what would be accepted."""

    path: Sequence[str | int]
    wrong: str
    accepted: str


def schema_faults(schema: object) -> Iterator[SchemaFault]:
    """What is wrong with a schema, the first of each kind."""
    if not isinstance(schema, Mapping):
        yield SchemaFault((), "this is no JSON Schema", "write an object")
        return
    try:
        class_of(schema).check_schema(schema)
    except SchemaError as error:
        yield SchemaFault(tuple(error.absolute_path), error.message, "write a valid JSON Schema")
        return
    parts = list(parts_of(schema, ()))
    faults = [*_pattern_faults(parts), *_reference_faults(schema)]
    yield from faults or _endless(schema)


def _endless(schema: Mapping[str, Any]) -> Iterator[SchemaFault]:
    values: tuple[object, ...] = (None, False, 0, "", [], {})
    try:
        for value in values:
            next(validator_of(schema).iter_errors(value), None)
    except RecursionError:
        wrong = "a $ref leads back to its own schema for the same value"
        yield SchemaFault((), wrong, "refer to it in properties or items only")


def _pattern_faults(
    parts: Sequence[tuple[Path, Mapping[str, Any]]],
) -> Iterator[SchemaFault]:
    for path, part in parts:
        named = part.get("patternProperties", {})
        places = [((*path, "patternProperties", pattern), pattern) for pattern in named]
        if "pattern" in part:
            places.append(((*path, "pattern"), part["pattern"]))
        for at, pattern in places:
            if not _compiles(pattern):
                wrong = f"{pattern!r} is no regular expression of RE2"
                yield SchemaFault(at, wrong, "write it without lookarounds and back references")
    if any("patternProperties" in part for _, part in parts):
        for path, part in parts:
            if "unevaluatedProperties" in part:
                wrong = "unevaluatedProperties cannot be checked beside patternProperties"
                at = (*path, "unevaluatedProperties")
                yield SchemaFault(at, wrong, "write additionalProperties")


def _reference_faults(schema: Mapping[str, Any]) -> Iterator[SchemaFault]:
    root = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolvers: dict[Path, Any] = {(): NOTHING.resolver_with_root(root)}
    for path, part in parts_of(schema, ()):
        around = next(path[:end] for end in range(len(path), -1, -1) if path[:end] in resolvers)
        resolver = resolvers[around].in_subresource(DRAFT202012.create_resource(part))
        resolvers[path] = resolver
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in part and not _leads_somewhere(resolver, part[keyword]):
                wrong = f"{part[keyword]!r} leads nowhere in this schema"
                yield SchemaFault((*path, keyword), wrong, "nothing is fetched: put it in $defs")


def _leads_somewhere(resolver: Any, reference: str) -> bool:
    try:
        resolver.lookup(reference)
    except Unresolvable:
        return False
    return True


def _compiles(pattern: str) -> bool:
    try:
        regexp(pattern)
    except Exception:  # re2 has an error of its own
        return False
    return True


def parts_of(schema: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The schema and all schemas in it, each with its place."""
    yield path, schema
    for keyword, value in schema.items():
        if keyword in _DATA:
            continue
        inner: Any = {None: value}
        if keyword in _NAMED and isinstance(value, Mapping):
            inner = value
        elif isinstance(value, list):
            inner = dict(enumerate(value))
        for key, part in inner.items():
            if isinstance(part, Mapping):
                yield from parts_of(part, (*path, keyword, *(() if key is None else (key,))))
