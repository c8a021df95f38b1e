"""JSON Schemas (draft 2020-12): the engine's own, the shared `$defs`, and what is done with one.

Every kind, built in or from a plugin, has a schema. It may refer to the shared definitions as
``urn:easews:common#/$defs/duration``; no other document is ever fetched. A schema with
``"x-unit": "seconds"`` or ``"bytes"`` is written with units and read as a number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, SchemaRegistry, SchemaResource

from .formats import CHECKER
from .units import UNITS

Schema = Mapping[str, Any]

COMMON = "urn:easews:common"
Parts = Sequence[tuple[Schema, Any]]
_ABSENT: Any = object()


def load(name: str) -> dict[str, Any]:
    """An engine schema from the package: HTTPServer, Pipeline or common."""
    text = (resources.files(__package__) / "json" / f"{name}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _registry() -> SchemaRegistry:
    empty: SchemaRegistry = Registry()
    registry: SchemaRegistry = empty.with_resource(
        COMMON, DRAFT202012.create_resource(load("common"))
    )
    return registry


def resolver_of(schema: Schema) -> Any:
    """What looks up the references of `schema`: its own, and those to the shared definitions."""
    return _registry().resolver_with_root(DRAFT202012.create_resource(schema))


def _validator(schema: Schema) -> Draft202012Validator:
    return Draft202012Validator(schema, registry=_registry(), format_checker=CHECKER)


def check_schema(schema: Schema) -> None:
    """SchemaError when `schema` is no valid schema, a `$ref` leads nowhere, or a default is bad."""
    Draft202012Validator.check_schema(schema)
    resource = DRAFT202012.create_resource(schema)
    _check_refs(resource, _registry().resolver_with_root(resource))


def _check_refs(resource: SchemaResource, resolver: Any) -> None:
    for part in resource.subresources():
        _check_refs(part, resolver.in_subresource(part))
    contents = resource.contents
    if not isinstance(contents, Mapping):
        return
    try:
        if "$ref" in contents:
            resolver.lookup(contents["$ref"])
    except Unresolvable:
        raise SchemaError(f"$ref {contents['$ref']!r} leads nowhere") from None
    if "default" in contents:
        _check_default(contents, resolver)


def _check_default(schema: Schema, resolver: Any) -> None:
    for error in _validator(_rooted(schema, resolver)).iter_errors(schema["default"]):
        raise SchemaError(f"the default {schema['default']!r} is not valid: {error.message}")


def errors(schema: Schema, instance: object) -> Iterator[ValidationError]:
    """Every fault of `instance`, each at its own place.

    Where none of several alternatives fits, the faults are those of the likeliest one.
    """
    for error in _validator(schema).iter_errors(instance):
        yield from _leaves(error)


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    branches: dict[object, list[ValidationError]] = {}
    for child in error.context or ():
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


def complete(schema: Schema, instance: Any) -> Any:
    """A copy of the valid `instance` with defaults filled in and units converted.

    Defaults and units are found through properties, items, `$ref`, allOf, anyOf and oneOf. An
    absent object gets the defaults of its properties when its own default is ``{}``.
    """
    return _complete(schema, instance, resolver_of(schema))


def _complete(schema: Schema, instance: Any, resolver: Any) -> Any:
    parts = list(_applicable(schema, instance, resolver))
    if isinstance(instance, Mapping):
        return _complete_object(parts, instance)
    if isinstance(instance, list):
        return [_through(_under("items", parts), item) for item in instance]
    for unit in (part["x-unit"] for part, _ in parts if "x-unit" in part):
        return UNITS[unit](instance)
    return deepcopy(instance)


def _complete_object(parts: Parts, instance: Schema) -> dict[str, Any]:
    done: dict[str, Any] = dict(instance)
    properties = [(key, sub, at) for part, at in parts for key, sub in _properties(part)]
    for key, sub, at in properties:
        value = done[key] if key in done else _default(sub, at)
        if value is not _ABSENT:
            done[key] = _complete(sub, value, at)
    known = {key for key, _, _ in properties}
    others = _under("additionalProperties", parts)
    return {key: v if key in known else _through(others, v) for key, v in done.items()}


def _properties(schema: Schema) -> Iterable[tuple[str, Any]]:
    properties: Schema = schema.get("properties", {})
    return properties.items()


def _under(keyword: str, parts: Parts) -> Parts:
    """The subschemas that the parts have under `keyword`."""
    return [(part[keyword], at) for part, at in parts if isinstance(part.get(keyword), Mapping)]


def _through(schemas: Parts, value: Any) -> Any:
    for schema, resolver in schemas:
        value = _complete(schema, value, resolver)
    return value


def _default(schema: Schema, resolver: Any) -> Any:
    for part, _ in _applicable(schema, _ABSENT, resolver):
        if "default" in part:
            return deepcopy(part["default"])
    return _ABSENT


def known_keys(schema: Schema, path: Sequence[str | int]) -> list[str]:
    """The property names that `schema` has for what stands at `path`, in any alternative."""
    parts = [*_walk(schema, path)][-1]
    return list(dict.fromkeys(key for part, _ in parts for key, _ in _properties(part)))


def description_of(schema: Schema, path: Sequence[str | int]) -> str:
    """What `schema` says that stands at `path`: the nearest description, or nothing."""
    parts = [*_walk(schema, path)][-1]
    return next((str(part["description"]) for part, _ in parts if "description" in part), "")


def is_write_only(schema: Schema, path: Sequence[str | int]) -> bool:
    """Whether what stands at `path`, or something around it, must never be shown."""
    return any(part.get("writeOnly") for parts in _walk(schema, path) for part, _ in parts)


def _walk(schema: Schema, path: Sequence[str | int]) -> Iterator[Parts]:
    """All that `schema` says, in any alternative, of each value on the way along `path`."""
    parts: Parts = [*_alternatives(schema, resolver_of(schema))]
    yield parts
    for step in path:
        parts = [
            found
            for part, resolver in parts
            for sub in _below(part, step)
            for found in _alternatives(sub, resolver)
        ]
        yield parts


def _alternatives(schema: Any, resolver: Any) -> Iterator[tuple[Schema, Any]]:
    if not isinstance(schema, Mapping):
        return
    yield schema, resolver
    if "$ref" in schema:
        target = resolver.lookup(schema["$ref"])
        yield from _alternatives(target.contents, target.resolver)
    several = [sub for keyword in ("allOf", "anyOf", "oneOf") for sub in schema.get(keyword, ())]
    for sub in (*several, *(schema[keyword] for keyword in ("then", "else") if keyword in schema)):
        yield from _alternatives(sub, resolver)


def _below(schema: Schema, step: str | int) -> Iterator[Any]:
    """The subschemas for the value at `step` of a list or mapping."""
    if isinstance(step, int):
        prefix = schema.get("prefixItems", ())
        yield prefix[step] if step < len(prefix) else schema.get("items")
    elif step in schema.get("properties", {}):
        yield schema["properties"][step]
    else:
        yield from schema.get("patternProperties", {}).values()
        yield schema.get("additionalProperties")


def _applicable(schema: Any, instance: object, resolver: Any) -> Iterator[tuple[Schema, Any]]:
    """`schema` and whatever else it says about `instance`, each with the resolver of its place."""
    if not isinstance(schema, Mapping):
        return
    yield schema, resolver
    if "$ref" in schema:
        target = resolver.lookup(schema["$ref"])
        yield from _applicable(target.contents, instance, target.resolver)
    chosen = list(schema.get("allOf", ()))
    for keyword in ("anyOf", "oneOf"):
        fits = (sub for sub in schema.get(keyword, ()) if _fits(sub, instance, resolver))
        chosen.extend([*fits][:1])
    for sub in chosen:
        yield from _applicable(sub, instance, resolver)


def _fits(schema: Any, instance: object, resolver: Any) -> bool:
    if instance is _ABSENT:
        return False
    return bool(_validator(_rooted(schema, resolver)).is_valid(instance))


def _rooted(schema: Any, resolver: Any) -> Schema:
    """`schema` as a document of its own, with the `$defs` that its local references mean."""
    root = resolver.lookup("#").contents
    return {"$defs": root.get("$defs", {}), "allOf": [schema]}
