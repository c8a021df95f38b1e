"""Which schemas hold where: for a value that is there, or for whatever may stand at a path.

A schema says things by itself, and more through `allOf` (where references lead), `anyOf` and
`oneOf`, and `if`. Each of them that holds is a part of what it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .fitting import fits
from .loading import Bound, Schema, bound

Path = Sequence[str | int]
#: What stands for a value that is not there: of several alternatives none holds for it.
ABSENT: Any = object()


def holding(schema: Bound | bool, value: object) -> Iterator[Bound]:
    """`schema` and whatever else it says about the valid `value`."""
    if isinstance(schema, bool):
        return
    yield schema
    for sub in schema.get("allOf", ()):
        yield from holding(sub, value)
    if value is ABSENT:
        return
    for keyword in ("anyOf", "oneOf"):
        fitting = (sub for sub in schema.get(keyword, ()) if fits(sub, value))
        yield from holding(next(fitting, True), value)
    if "if" in schema:
        branch = "then" if fits(schema["if"], value) else "else"
        yield from holding(schema.get(branch, True), value)


def depends_on_value(schema: Bound | bool) -> bool:
    """Whether it takes the value to know what holds."""
    if isinstance(schema, bool):
        return False
    return not schema.keys().isdisjoint(("anyOf", "oneOf", "if")) or any(
        map(depends_on_value, schema.get("allOf", ()))
    )


def possible(schema: Bound | bool) -> Iterator[Bound]:
    """`schema` and whatever else it says, in any alternative."""
    if isinstance(schema, bool):
        return
    yield schema
    for keyword in ("allOf", "anyOf", "oneOf"):
        for sub in schema.get(keyword, ()):
            yield from possible(sub)
    for keyword in ("then", "else"):
        yield from possible(schema.get(keyword, True))


def of_same_value(schema: Bound) -> Iterator[Bound]:
    """The schemas in `schema` that may be asked about the same value."""
    several = [sub for keyword in ("allOf", "anyOf", "oneOf") for sub in schema.get(keyword, ())]
    single = [schema.get(keyword) for keyword in ("not", "if", "then", "else")]
    named = schema.get("dependentSchemas", {}).values()
    yield from (sub for sub in (*several, *single, *named) if isinstance(sub, Bound))


def below(parts: Iterable[Bound], step: str | int) -> list[Bound]:
    """What the parts say of the value at `step` of a list or mapping."""
    found = [sub for part in parts for sub in _below(part, step)]
    return [sub for sub in found if isinstance(sub, Bound)]


def _below(part: Bound, step: str | int) -> Iterator[Bound | bool]:
    if isinstance(step, int):
        prefix = part.get("prefixItems", ())
        yield prefix[step] if step < len(prefix) else part.get("items", True)
        return
    named = part.get("properties", {}).get(step)
    patterns = part.get("patternProperties", {})
    matching = [sub for pattern, sub in patterns.items() if re.search(pattern, step)]
    yield from matching
    if named is not None:
        yield named
    elif not matching:
        yield part.get("additionalProperties", True)


def along(schema: Schema, path: Path) -> Iterator[list[Bound]]:
    """All that `schema` says, in any alternative, of each value on the way along `path`."""
    parts = [*possible(bound(schema))]
    yield parts
    for step in path:
        parts = [part for sub in below(parts, step) for part in possible(sub)]
        yield parts


def known_keys(schema: Schema, path: Path) -> list[str]:
    """The property names that `schema` has for what stands at `path`, in any alternative."""
    *_, parts = along(schema, path)
    return list(dict.fromkeys(key for part in parts for key in part.get("properties", ())))


def description_of(schema: Schema, path: Path) -> str:
    """What `schema` says that stands at `path`: the nearest description, or nothing."""
    *_, parts = along(schema, path)
    return next((str(part["description"]) for part in parts if "description" in part), "")


def is_write_only(schema: Schema, path: Path) -> bool:
    """Whether what stands at `path`, or something around it, must never be shown."""
    return any(part.get("writeOnly") for parts in along(schema, path) for part in parts)
