"""What a schema's fault is called: which value, what is wrong, what would be accepted.

Nothing here shows a hidden value, so jsonschema's own messages, which do, are never used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..schema import Schema
from ..spelling import did_you_mean
from .documents import Node, Path
from .keys import Error, missing_keys, unknown_keys
from .phrases import NOT_SUPPORTED, Wording, accepted_by, either, going_on, such_as, written
from .scalars import typed

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


def words_for(error: Error, node: Node, schema: Schema, path: Path) -> Iterator[Wording]:
    """The faults in `error` about `node`, which stands at `path` of what `schema` describes."""
    sub = error.schema if isinstance(error.schema, Mapping) else {}
    if str(sub.get("description", "")).startswith(NOT_SUPPORTED):
        words = _not_supported(sub["description"])
        yield words._replace(replaces=sub.get("x-instead", ""))
    elif error.validator in ("additionalProperties", "unevaluatedProperties"):
        yield from unknown_keys(error, node, schema, path)
    elif error.validator == "required":
        yield from missing_keys(error, node, sub)
    else:
        word = _WORDS.get(str(error.validator), _fits_not)
        yield word(error, node, sub)


def _not_supported(description: str) -> Wording:
    what, _, remedy = description.partition(". ")
    return Wording(going_on(what), going_on(remedy) or "leave it out")


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
    return Wording(wrong, f"expected {wanted} {such_as(sub)}".rstrip())


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
        return Wording(f"{node.shown}: {going_on(wrong)}", going_on(remedy))
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
