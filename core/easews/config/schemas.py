"""The schemas that a document or a filter entry has to fit, and the same for editors.

What `validate` uses refers to the shared definitions by their URN. What editors get stands
alone: there each schema's references lead into `$defs` of the document that they are in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..plugins import Kind, Kinds
from ..schema import COMMON, load

Schema = dict[str, Any]

#: The kinds of object that a document may be.
OBJECT_KINDS = ("HTTPServer", "Pipeline")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def object_schema(kind: str) -> Schema:
    """The schema of a whole document of this kind."""
    return load(kind)


def entry_schema(kind: Kind) -> Schema:
    """The schema of an entry of `filters`: kind, name, and the kind's own fields, no others."""
    schema = dict(kind.schema)
    closed = {"additionalProperties", "unevaluatedProperties"} & schema.keys()
    return {
        "$schema": DIALECT,
        "title": kind.name,
        "description": kind.summary,
        **schema,
        "type": "object",
        "properties": {
            "kind": {"const": kind.name, "description": "The kind of this filter."},
            "name": object_schema("Pipeline")["$defs"]["filter"]["properties"]["name"],
            **schema.get("properties", {}),
        },
        "required": ["kind", "name", *schema.get("required", ())],
        **({} if closed else {"unevaluatedProperties": False}),
    }


def standalone(name: str, kinds: Kinds) -> Schema:
    """The schema of one kind, of object or filter, in one document. KeyError if there is none.

    Pipeline's leaves the filters' own fields open; `bundle` has them.
    """
    schema = object_schema(name) if name in OBJECT_KINDS else entry_schema(kinds[name])
    alone = _referring(schema, "#")
    return {**alone, "$defs": {**alone.get("$defs", {}), "common": _common()}}


def bundle(kinds: Kinds) -> Schema:
    """One schema for documents of every kind: what an editor is given for all config files."""
    filters = {kind: _embedded(entry_schema(kinds[kind]), kind) for kind in kinds}
    objects = {kind: _embedded(object_schema(kind), kind) for kind in OBJECT_KINDS}
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
