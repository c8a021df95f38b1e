"""A schema's fields as a flat list: what people are shown of a kind.

A field of a mapping in a list is called ``pools[].servers[].url``, one of a mapping with keys of
the user's own ``jumpIf.*``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..schema import Schema, resolver_of
from .wording import NOT_SUPPORTED, TYPES, written


@dataclass(frozen=True, slots=True)
class Field:
    """`schema` is the field's own, with all that its `$ref` leads to.

    `examples` are those that stand at the field itself: those of a shared definition would say
    the same of every duration.
    """

    path: str
    type: str
    required: bool
    schema: Schema
    examples: tuple[str, ...]

    @property
    def description(self) -> str:
        return str(self.schema.get("description", ""))

    @property
    def default(self) -> str:
        """As a file would have it; empty without one."""
        return written(self.schema["default"]) if "default" in self.schema else ""

    @property
    def supported(self) -> bool:
        return not self.description.startswith(NOT_SUPPORTED)


def fields_of(schema: Schema) -> Iterator[Field]:
    """Every field that `schema` has, in written order, those within others behind them."""
    yield from _below(schema, resolver_of(schema), "", frozenset())


def _below(schema: Schema, resolver: Any, path: str, seen: frozenset[str]) -> Iterator[Field]:
    """The fields of the mapping at `path`; a `$ref` within itself is not followed again."""
    if schema.get("type") == "array" and isinstance(schema.get("items"), Mapping):
        inner, at, refs = _whole(schema["items"], resolver)
        if not refs & seen:
            yield from _below(inner, at, f"{path}[]", seen | refs)
        return
    required = schema.get("required", ())
    for key, sub in schema.get("properties", {}).items():
        whole, at, refs = _whole(sub, resolver)
        examples = sub.get("examples", ()) if isinstance(sub, Mapping) else ()
        field = Field(
            f"{path}.{key}".lstrip("."),
            _type(whole, at),
            key in required,
            whole,
            tuple(map(written, examples)),
        )
        yield field
        if field.supported and not refs & seen:
            yield from _below(whole, at, field.path, seen | refs)


def _whole(schema: Any, resolver: Any) -> tuple[dict[str, Any], Any, frozenset[str]]:
    """`schema` with all that its `$ref` leads to, and the references that were followed.

    What stands beside a `$ref` counts before what it leads to.
    """
    if not isinstance(schema, Mapping):
        return {}, resolver, frozenset()
    if "$ref" not in schema:
        return dict(schema), resolver, frozenset()
    target = resolver.lookup(schema["$ref"])
    whole, at, refs = _whole(target.contents, target.resolver)
    return {**whole, **schema}, at, refs | {schema["$ref"]}


def _type(schema: Schema, resolver: Any) -> str:
    """What a value is called: by its title, its values, or its type."""
    if title := schema.get("title"):
        return str(title)
    values = schema.get("enum", [schema["const"]] if "const" in schema else ())
    if values:
        return " | ".join(map(written, values))
    if schema.get("type") == "array":
        items, at, _ = _whole(schema.get("items"), resolver)
        return f"list of {_type(items, at)}"
    types = schema.get("type", ())
    names = [types] if isinstance(types, str) else types
    return " or ".join(TYPES[name].removeprefix("a ") for name in names) or "any value"
