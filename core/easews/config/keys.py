"""What is said of keys: of those that are not known, and of those that are missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..schema import Schema, description_of, known_keys
from ..spelling import ALIKE, nearest
from .documents import Node, Path
from .phrases import NOT_SUPPORTED, Wording, accepted_by, either, listed, written

#: A jsonschema.ValidationError. Its types allow for an unset field, which `errors` never yields.
Error = Any

_MOST_LISTED = 16
#: Whatever may have these has them already, so no key within it is one of them gone astray.
_EVERYWHERE = ("kind", "name")


def missing_keys(error: Error, node: Node, sub: Schema) -> Iterator[Wording]:
    """The key that is missing: jsonschema reports each by itself, and names it only in its
    message.
    """
    for key in error.validator_value:
        if key not in node.value and error.message.startswith(f"{key!r} "):
            accepted = _wanted(sub.get("properties", {}).get(key, {}))
            yield Wording(f"{key!r} is missing", accepted, missing=key)


def unknown_keys(error: Error, node: Node, schema: Schema, path: Path) -> Iterator[Wording]:
    """All unknown keys of a mapping, each with where it may belong."""
    known = known_keys(schema, path)
    if error.validator == "additionalProperties":
        known = [*error.schema.get("properties", ())]
    patterns = error.schema.get("patternProperties", ())
    unknown = [
        key
        for key in node.value
        if key not in known and not any(re.search(pattern, key) for pattern in patterns)
    ]
    homes = {key: _home_of(key, known, schema, path) for key in unknown}
    empty = [home for home in dict.fromkeys(homes.values()) if home and _is_empty(node, home)]
    for home in empty:
        yield _beside_an_empty(home, tuple(key for key in unknown if homes[key] == home))
    for key in unknown:
        if homes[key] not in empty:
            yield _unknown_key(key, homes[key], known, schema, path)
    if not unknown:
        wrong = "has a key that is not known here"
        yield Wording(wrong, _known_here(known, schema, path), vague=True)


def _unknown_key(
    key: str, home: _Home | None, known: list[str], schema: Schema, path: Path
) -> Wording:
    near = "" if home else nearest(key, known, ALIKE)
    outside = "" if home or near else _outer_home_of(key, schema, path)
    accepted = (
        f"it belongs in {'an entry of ' * home.is_list}{home.key!r}"
        if home
        else f"did you mean {near!r}?"
        if near
        else f"it belongs one level up, beside {outside!r}"
        if outside
        else _known_here(known, schema, path)
    )
    inside = home.key if home else ""
    return Wording(f"unknown key {key!r}", accepted, (key,), near=near, inside=inside)


def _beside_an_empty(home: _Home, keys: tuple[str, ...]) -> Wording:
    several = len(keys) > 1
    names = " and ".join(filter(None, (", ".join(map(repr, keys[:-1])), repr(keys[-1]))))
    place = f"an entry of {home.key!r}" if home.is_list else repr(home.key)
    return Wording(
        f"{names} belong{'' if several else 's'} in {place}, which is empty",
        f"indent {'them' if several else 'it'}"
        + (f", with a '- ' before {'the first' if several else 'it'}" if home.is_list else ""),
        keys,
        inside=home.key,
        fills=True,
    )


def _known_here(known: list[str], schema: Schema, path: Path) -> str:
    """The keys that may be used; those that are only known to be missing are no help."""
    usable = [
        key for key in known if not description_of(schema, (*path, key)).startswith(NOT_SUPPORTED)
    ]
    shown = usable if len(usable) <= _MOST_LISTED else [*usable[:_MOST_LISTED], "..."]
    return f"known here: {listed(shown)}"


class _Home(NamedTuple):
    """The neighbour of an unknown key that it belongs in."""

    key: str
    is_list: bool


def _home_of(key: str, known: list[str], schema: Schema, path: Path) -> _Home | None:
    for neighbour in known:
        if key in known_keys(schema, (*path, neighbour, 0)):
            return _Home(neighbour, True)
        if key in known_keys(schema, (*path, neighbour)):
            return _Home(neighbour, False)
    return None


def _outer_home_of(key: str, schema: Schema, path: Path) -> str:
    """The neighbour that `key` belongs beside, if the mapping around this one may have it."""
    names = [at for at, step in enumerate(path) if isinstance(step, str)]
    if not names or key in _EVERYWHERE:
        return ""
    outer = path[: names[-1]]
    known = key in known_keys(schema, outer)
    missing = description_of(schema, (*outer, key)).startswith(NOT_SUPPORTED)
    return str(path[names[-1]]) if known and not missing else ""


def _is_empty(node: Node, home: _Home) -> bool:
    return home.key in node.value and not node.value[home.key]


def _wanted(schema: Schema) -> str:
    """What a key that is missing may have as its value."""
    return (
        f"write {either([*map(written, schema['enum'])])}"
        if "enum" in schema
        else accepted_by(schema)
    )
