"""What a schema's fault is called: which value, what is wrong, what would be accepted.

Nothing here shows a hidden value, so jsonschema's own messages, which do, are never used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..schema import Schema, description_of, known_keys
from ..spelling import ALIKE, did_you_mean, nearest
from .documents import Node, Path
from .scalars import typed

#: A jsonschema.ValidationError. Its types allow for an unset field, which `errors` never yields.
Error = Any

NOT_SUPPORTED = "Not supported yet"
_MOST_LISTED = 16
#: Whatever may have these has them already, so no key within it is one of them gone astray.
_EVERYWHERE = ("kind", "name")

# A text that YAML takes as it stands, where it begins no other thing, ends none and is no comment.
_PLAIN = re.compile(
    r"(?![-?:](?: |$)|[\s,\[\]{}#&*!|>'\"%@`])(?:(?!: | #|:$)[^\n])+(?<!\s)"
).fullmatch
_IN_FLOW = re.compile(r"^[-:]|[,\[\]{}?]").search

TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


#: The types that a text may look like.
_PYTHON = {"integer": int, "number": float, "boolean": bool}


class Wording(NamedTuple):
    """A fault in words, and what `findings` has to know to leave out what follows from it.

    `keys` are set when the fault is theirs and not that of the value: `near` is the known key
    that the one is a slip of, `inside` the one in whose value, or in whose entries, they belong,
    which has none yet if the fault `fills` it. `missing` is a key that is not there, `replaces`
    one that is not there because of this one; a `vague` fault has others that tell more.
    """

    wrong: str
    accepted: str = ""
    keys: tuple[str, ...] = ()
    near: str = ""
    inside: str = ""
    fills: bool = False
    missing: str = ""
    replaces: str = ""
    vague: bool = False


def listed(words: Iterable[str], nothing: str = "none") -> str:
    return ", ".join(words) or nothing


def either(words: Sequence[str]) -> str:
    """``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def words_for(error: Error, node: Node, schema: Schema, path: Path) -> Iterator[Wording]:
    """The faults in `error` about `node`, which stands at `path` of what `schema` describes."""
    sub = error.schema if isinstance(error.schema, Mapping) else {}
    if str(sub.get("description", "")).startswith(NOT_SUPPORTED):
        words = _not_supported(sub["description"])
        yield words._replace(replaces=sub.get("x-instead", ""))
    elif error.validator in ("additionalProperties", "unevaluatedProperties"):
        yield from _unknown_keys(error, node, schema, path)
    elif error.validator == "required":
        yield from _missing(error, node, sub)
    else:
        word = _WORDS.get(str(error.validator), _fits_not)
        yield word(error, node, sub)


def _not_supported(description: str) -> Wording:
    what, _, remedy = description.partition(". ")
    return Wording(_going_on(what), _going_on(remedy) or "leave it out")


def _going_on(sentence: str) -> str:
    """A sentence as part of a longer one."""
    sentence = sentence.rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def _missing(error: Error, node: Node, sub: Schema) -> Iterator[Wording]:
    # jsonschema reports each missing key by itself, and names it only in its message.
    for key in error.validator_value:
        if key not in node.value and error.message.startswith(f"{key!r} "):
            accepted = _wanted(sub.get("properties", {}).get(key, {}))
            yield Wording(f"{key!r} is missing", accepted, missing=key)


def _unknown_keys(error: Error, node: Node, schema: Schema, path: Path) -> Iterator[Wording]:
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


def accepted_by(schema: Schema) -> str:
    """What a schema says that it takes: the first sentence of its description, and examples."""
    description = _going_on(str(schema.get("description", "")).partition(". ")[0])
    return " ".join(filter(None, (description, _such_as(schema))))


def _such_as(schema: Schema) -> str:
    examples = [written(example) for example in schema.get("examples", ())[:3]]
    return f"(such as {', '.join(examples)})" if examples else ""


def written(value: Any) -> str:
    """A value as YAML in a line; texts without quotes, where they need none."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_inside(key)}: {_inside(it)}" for key, it in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inside, value)) + "]"
    needs_none = isinstance(value, str) and _PLAIN(value) and typed(value) == value
    return value if needs_none else json.dumps(value, ensure_ascii=False)


def _inside(value: Any) -> str:
    """A value as it stands between [] or {}, where more texts need quotes."""
    plain = written(value)
    return json.dumps(value, ensure_ascii=False) if plain == value and _IN_FLOW(value) else plain


def _wrong_type(error: Error, node: Node, sub: Schema) -> Wording:
    if sub.get("x-unit") == "seconds" and type(node.value) in (int, float):
        return _no_unit(error, node, sub)
    types = error.validator_value
    names = [types] if isinstance(types, str) else types
    wanted = " or ".join(TYPES[name] for name in names)
    if isinstance(node.value, str) and type(typed(node.value)) in map(_PYTHON.get, names):
        return Wording(f"{node.shown} is text, not {wanted}", "write it without quotes")
    wrong = f"{node.shown} is not {wanted}"
    if "description" in sub and _PYTHON.keys() & {*names} - {"boolean"}:  # its unit helps more
        return Wording(wrong, accepted_by(sub))
    return Wording(wrong, f"expected {wanted} {_such_as(sub)}".rstrip())


def _not_one_of(error: Error, node: Node, sub: Schema) -> Wording:
    values = error.validator_value if error.validator == "enum" else [error.validator_value]
    texts = [written(value) for value in values]
    near = did_you_mean(node.value, texts) if isinstance(node.value, str) else ""
    return Wording(
        f"{node.shown} is not accepted here",
        (near if not node.hidden else "") or f"expected {either(texts)}",
    )


def _bad_format(error: Error, node: Node, sub: Schema) -> Wording:
    what = f"{node.shown} is no {sub.get('title', error.validator_value)}"
    if error.cause is None or node.hidden:  # the reason may quote a part of the value, as re2's do
        return Wording(what, accepted_by(sub))
    reason, *remedy = error.cause.args
    return Wording(f"{what}: {reason}", remedy[0] if remedy else accepted_by(sub))


def _forbidden(error: Error, node: Node, sub: Schema) -> Wording:
    refused = error.validator_value or {}
    if together := refused.get("required"):
        return Wording(f"{' and '.join(together)} cannot stand together", "keep one of them")
    if what := refused.get("description"):
        if str(what).startswith(NOT_SUPPORTED):
            return _not_supported(what)
        wrong, _, remedy = str(what).partition(". ")
        return Wording(f"{node.shown}: {_going_on(wrong)}", _going_on(remedy))
    if "const" in refused:
        return Wording(f"{node.shown} is taken", f"anything but {written(refused['const'])}")
    return _fits_not(error, node, sub)


def _fits_not(error: Error, node: Node, sub: Schema) -> Wording:
    """What is said when the schema does not tell why, as with a pattern."""
    if sub.get("title"):
        return Wording(f"{node.shown} is no {sub['title']}", accepted_by(sub))
    return Wording(f"{node.shown} is not accepted here", accepted_by(sub))


def _no_unit(error: Error, node: Node, sub: Schema) -> Wording:
    if node.value == 0 or node.hidden:
        return _fits_not(error, node, sub)
    return Wording(f"{node.shown} has no unit", f"write {node.shown}s or {node.shown}ms")


def _too_much(error: Error, node: Node, sub: Schema) -> Wording:
    if sub.get("x-unit") == "seconds":
        return _no_unit(error, node, sub)
    return _bound("is more than {}")(error, node, sub)


def _too_short(error: Error, node: Node, sub: Schema) -> Wording:
    if not node.value:
        what = "list" if isinstance(node.value, list) else "text"
        return Wording(f"this {what} is empty", accepted_by(sub))
    return _bound("is too short, at least {} are needed")(error, node, sub)


def _bound(text: str) -> Callable[[Error, Node, Schema], Wording]:
    def word(error: Error, node: Node, sub: Schema) -> Wording:
        limit = text.format(error.validator_value)
        return Wording(f"{node.shown} {limit}", accepted_by(sub))

    return word


_WORDS: dict[str, Callable[[Error, Node, Schema], Wording]] = {
    "type": _wrong_type,
    "enum": _not_one_of,
    "const": _not_one_of,
    "format": _bad_format,
    "not": _forbidden,
    "minimum": _bound("is less than {}"),
    "maximum": _too_much,
    "exclusiveMinimum": _bound("is not more than {}"),
    "exclusiveMaximum": _bound("is not less than {}"),
    "minLength": _too_short,
    "maxLength": _bound("is longer than {} characters"),
    "minItems": _too_short,
    "maxItems": _bound("has more than {} entries"),
    "uniqueItems": lambda error, node, sub: Wording(
        "this list has an entry twice", "write each one once"
    ),
}
