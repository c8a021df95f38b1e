"""JSON Schemas of typed dictionaries, so that what is documented is what the code says. Pure."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

Schema = dict[str, Any]

_PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    object: {},
    Any: {},
}
#: A line of a docstring's table: a name, and what it is.
_ROW = re.compile(r" {4}(\w+) {2,}(\S.*(?:\n {8,}\S.*)*)")


def schema_of(hint: Any) -> Schema:
    """The schema of a type. Typed dictionaries are referred to: see `definitions`."""
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if is_typeddict(hint):
        return {"$ref": f"#/components/schemas/{hint.__name__}"}
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": [*inner]}
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(inner[1])}
    if origin is types.UnionType:
        return {"anyOf": [schema_of(sub) for sub in inner]}
    raise TypeError(f"no JSON value is a {hint}")


def definitions(hint: Any) -> dict[str, Schema]:
    """The schemas of the typed dictionaries that a type needs, by name."""
    found: dict[str, Schema] = {}

    def visit(part: Any) -> None:
        if is_typeddict(part) and part.__name__ not in found:
            found[part.__name__] = {}
            hints = get_type_hints(part)
            found[part.__name__] = _object(part, hints)
            for sub in hints.values():
                visit(sub)
        for sub in get_args(part):
            visit(sub)

    visit(hint)
    return found


def _object(typed: Any, hints: Mapping[str, Any]) -> Schema:
    told = descriptions(typed)
    return {
        "description": typed.__doc__.partition("\n")[0],
        "type": "object",
        "properties": {
            name: {**schema_of(hint), **({"description": told[name]} if name in told else {})}
            for name, hint in hints.items()
        },
        "required": [*hints],
        "additionalProperties": False,
    }


def descriptions(typed: Any) -> dict[str, str]:
    """What the table in a docstring says of each name."""
    return {name: " ".join(text.split()) for name, text in _ROW.findall(typed.__doc__ or "")}
