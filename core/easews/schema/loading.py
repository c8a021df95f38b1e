"""The engine's own schemas, and schemas with their references resolved.

Every kind, built in or from a plugin, has a JSON Schema (draft 2020-12). It may refer to the
shared definitions as ``urn:easews:common#/$defs/duration``; no other document is ever fetched.
References are looked up once: whatever is done with a schema is done with its `bound` form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from referencing import Registry
from referencing.jsonschema import DRAFT202012, SchemaRegistry

Schema = Mapping[str, Any]

COMMON = "urn:easews:common"

# The keywords that hold other schemas: one, a list, or a mapping of names to schemas.
_ONE = frozenset(
    [
        *("items", "contains", "unevaluatedItems", "not", "if", "then", "else"),
        *("additionalProperties", "propertyNames", "unevaluatedProperties"),
    ]
)
_SEVERAL = frozenset(["allOf", "anyOf", "oneOf", "prefixItems"])
_NAMED = frozenset(["properties", "patternProperties", "dependentSchemas", "$defs"])
# What says where a schema is and where it refers to; a bound one has no use for it.
_ADDRESSES = frozenset(["$ref", "$id", "$anchor", "$schema"])


def load(name: str) -> dict[str, Any]:
    """An engine schema from the package: `common`, or that of a kind of object."""
    text = (resources.files(__package__) / "json" / f"{name}.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


class Bound(dict[str, Any]):
    """A schema without references: what a `$ref` leads to is the first in its `allOf`.

    That means the same in JSON Schema. A schema that refers to itself contains itself. `test` and
    `plan` are what `fitting` and `completion` have made of the schema, so as to do it once.
    """

    __slots__ = ("plan", "test")

    def __init__(self) -> None:
        super().__init__()
        self.test: Callable[[Any], bool] | None = None
        self.plan: Callable[[Any, str], Any] | None = None


def bound(schema: Schema) -> Bound:
    """`schema` and all schemas in it with their references resolved; a bound one is itself.

    `referencing.exceptions.Unresolvable` when one leads nowhere.
    """
    if isinstance(schema, Bound):
        return schema
    root = DRAFT202012.create_resource(schema)
    made = _Binder().bind(schema, _registry().resolver_with_root(root))
    assert isinstance(made, Bound)
    return made


@cache
def _registry() -> SchemaRegistry:
    empty: SchemaRegistry = Registry()
    common = DRAFT202012.create_resource(load("common"))
    registry: SchemaRegistry = empty.with_resource(COMMON, common)
    return registry


class _Binder:
    def __init__(self) -> None:
        self._made: dict[int, Bound] = {}

    def bind(self, schema: Any, resolver: Any) -> Any:
        """`schema`, which may be a bool; its references mean what `resolver` says."""
        if not isinstance(schema, Mapping):
            return schema
        if id(schema) in self._made:
            return self._made[id(schema)]
        made = self._made[id(schema)] = Bound()
        at = resolver.in_subresource(DRAFT202012.create_resource(schema))
        if "$ref" in schema:
            target = at.lookup(schema["$ref"])
            made["allOf"] = [self.bind(target.contents, target.resolver)]
        for keyword, value in schema.items():
            if keyword == "allOf":
                made["allOf"] = [*made.get("allOf", ()), *(self.bind(sub, at) for sub in value)]
            elif keyword not in _ADDRESSES:
                made[keyword] = _each(keyword, value, lambda sub: self.bind(sub, at))
        return made


def _each(keyword: str, value: Any, change: Callable[[Any], Any]) -> Any:
    """The value of `keyword` with each schema in it changed."""
    if keyword in _ONE:
        return change(value)
    if keyword in _SEVERAL:
        return [change(sub) for sub in value]
    if keyword in _NAMED:
        return {name: change(sub) for name, sub in value.items()}
    return value


def all_within(schema: Schema) -> Iterator[Bound]:
    """`schema` and every schema in it, each once."""
    found: dict[int, Bound] = {}

    def visit(part: Any) -> None:
        if isinstance(part, Bound) and id(part) not in found:
            found[id(part)] = part
            for keyword, value in part.items():
                _each(keyword, value, visit)

    visit(bound(schema))
    yield from found.values()
