"""The schemas that editors get: each stands alone.

The references of a schema lead into `$defs` of the document that it is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plugins import Kinds
from ..schema import COMMON, load
from .schemas import DIALECT, OBJECT_KINDS, written_entry

Schema = dict[str, Any]


def standalone(name: str, kinds: Kinds) -> Schema:
    """The schema of one kind, of object or filter, in one document. KeyError if there is none.

    Pipeline's leaves the filters' own fields open; `bundle` has them.
    """
    schema = load(name) if name in OBJECT_KINDS else written_entry(kinds[name])
    alone = _referring(schema, "#")
    return {**alone, "$defs": {**alone.get("$defs", {}), "common": _common()}}


def bundle(kinds: Kinds) -> Schema:
    """One schema for documents of every kind: what an editor is given for all config files."""
    filters = {kind: _embedded(written_entry(kinds[kind]), kind) for kind in kinds}
    objects = {kind: _embedded(load(kind), kind) for kind in OBJECT_KINDS}
    pipeline = objects["Pipeline"]["$defs"]
    pipeline["filter"] = _by_kind(pipeline["filter"], list(filters))
    start = {
        "$schema": DIALECT,
        "title": "easews config",
        "description": "A document of an easews config file.",
        "type": "object",
        "properties": {},
        "required": ["kind", "name"],
    }
    return {
        **_by_kind(start, list(OBJECT_KINDS)),
        "$defs": {**objects, **filters, "common": _common()},
    }


def _by_kind(schema: Schema, kinds: list[str]) -> Schema:
    """`schema`, and whatever the definition of the value's own kind says besides."""
    description = schema["properties"].get("kind", {}).get("description", "The kind of object.")
    kind = {"description": description, "enum": kinds}
    return {
        **schema,
        "properties": {**schema["properties"], "kind": kind},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in kinds
        ],
    }


def _embedded(schema: Schema, name: str) -> Schema:
    embedded: Schema = _referring(schema, f"#/$defs/{name}")
    del embedded["$schema"]
    return embedded


def _common() -> Schema:
    common = load("common")
    return {"description": common["title"], "$defs": _referring(common["$defs"], "#")}


def _referring(schema: Any, root: str) -> Any:
    """A copy whose references lead to where the definitions are when `schema` stands at `root`."""
    if isinstance(schema, Mapping):
        return {
            key: _reference(value, root)
            if key == "$ref" and isinstance(value, str)
            else _referring(value, root)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_referring(item, root) for item in schema]
    return schema


def _reference(target: str, root: str) -> str:
    document, _, pointer = target.partition("#")
    return (
        root if document == "" else "#/$defs/common" if document == COMMON else target
    ) + pointer
