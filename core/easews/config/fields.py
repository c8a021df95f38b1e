"""A schema's fields as a flat list: what people are shown of a kind.

A field of a mapping in a list is called ``pools[].servers[].url``, one of a mapping with keys of
the user's own ``jumpIf.*``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..schema import Bound, Schema, bound
from .phrases import NOT_SUPPORTED, written
from .wording import TYPES


@dataclass(frozen=True, slots=True)
class Field:
    """`schema` is the field's own, with all that its references lead to.

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
    whole, _ = _whole(bound(schema))
    yield from _below(whole, "", frozenset())


def _below(schema: Schema, path: str, seen: frozenset[int]) -> Iterator[Field]:
    """The fields of the mapping at `path`; a schema within itself is not followed again.

    In a path, `*` stands for keys of the user's own.
    """
    if schema.get("type") == "array" and "items" in schema:
        inner, parts = _whole(schema["items"])
        if not parts & seen:
            yield from _below(inner, f"{path}[]", seen | parts)
        return
    required = schema.get("required", ())
    for key, sub in schema.get("properties", {}).items():
        inner, parts = _whole(sub)
        field = Field(
            f"{path}.{key}".lstrip("."),
            _type(inner),
            key in required,
            inner,
            tuple(map(written, sub.get("examples", ()) if isinstance(sub, Mapping) else ())),
        )
        yield field
        if field.supported and not parts & seen:
            yield from _below(inner, field.path, seen | parts)
    if isinstance(others := schema.get("additionalProperties"), Bound):
        inner, parts = _whole(others)
        if not parts & seen:
            yield from _below(inner, f"{path}.*", seen | parts)


def _whole(schema: Bound | bool) -> tuple[dict[str, Any], frozenset[int]]:
    """`schema` as one with all that its `allOf` says, and which schemas those are.

    What stands in itself counts before what it refers to.
    """
    whole: dict[str, Any] = {}
    parts: frozenset[int] = frozenset()
    if isinstance(schema, bool):
        return whole, parts
    for sub in reversed(schema.get("allOf", ())):
        other, others = _whole(sub)
        whole = _joined(other, whole)
        parts |= {id(sub), *others}
    return _joined(schema, whole), parts


def _joined(first: Schema, second: Schema) -> dict[str, Any]:
    """Both; what both have is the first's, but for `properties` and `required`, which add up."""
    joined = {**second, **first}
    if "properties" in second:
        joined["properties"] = {**second["properties"], **first.get("properties", {})}
    if "required" in second:
        joined["required"] = [*first.get("required", ()), *second["required"]]
    return joined


def _type(schema: Schema, seen: frozenset[int] = frozenset()) -> str:
    """What a value is called: by its title, its values, or its type.

    A list of lists of its own kind is a list of lists.
    """
    if title := schema.get("title"):
        return str(title)
    values = schema.get("enum", [schema["const"]] if "const" in schema else ())
    if values:
        return " | ".join(map(written, values))
    if schema.get("type") == "array":
        items, parts = _whole(schema.get("items", True))
        return f"list of {'lists' if parts & seen else _type(items, seen | parts)}"
    types = schema.get("type", ())
    names = [types] if isinstance(types, str) else types
    return " or ".join(TYPES[name].removeprefix("a ") for name in names) or "any value"
