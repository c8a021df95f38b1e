"""Which schema holds where in a config: for an object, for an entry of `filters`.

Both are bound: their references are looked up once, however many values they are asked about.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..plugins import Kind, Kinds
from ..schema import Bound, bound, load
from .documents import Node, Path

#: The kinds of object that a document may be.
OBJECT_KINDS = ("HTTPServer", "Pipeline", "Gateway")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def kind_schema(name: str, kinds: Kinds) -> Bound:
    """The schema of a kind of object or filter. KeyError if there is no such kind."""
    return object_schema(name) if name in OBJECT_KINDS else entry_schema(kinds[name])


def schema_around(root: Node, path: Path, kinds: Kinds) -> tuple[Bound | None, Path]:
    """The schema of the innermost object or filter that `path` leads into, and the way in it.

    None where the kind is not known.
    """
    node, within = root, path
    if is_entry(root, path):
        *_, node = root.descend(path[:2])
        within = path[2:]
    name = node.text("kind") or ""
    known = kinds if node is not root else OBJECT_KINDS
    return kind_schema(name, kinds) if name in known else None, within


def is_entry(root: Node, path: Path) -> bool:
    """Whether `path` leads into an entry of a Pipeline's `filters`."""
    return path[:1] == ("filters",) and len(path) > 2 and root.text("kind") == "Pipeline"


def kind_of(entry: Node | None, kinds: Kinds) -> Kind | None:
    """The kind of an entry of `filters`, if it is installed."""
    return kinds.get(entry.text("kind") or "") if entry is not None else None


@cache
def object_schema(kind: str) -> Bound:
    """The schema of a whole document of this kind."""
    return bound(load(kind))


@cache
def entry_schema(kind: Kind) -> Bound:
    """The schema of an entry of `filters`: kind, name, and the kind's own fields, no others."""
    return bound(written_entry(kind))


def written_entry(kind: Kind) -> dict[str, Any]:
    """As `entry_schema`, with its references as they are written."""
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
            "name": load("Pipeline")["$defs"]["filter"]["properties"]["name"],
            **schema.get("properties", {}),
        },
        "required": ["kind", "name", *schema.get("required", ())],
        **({} if closed else {"unevaluatedProperties": False}),
    }
