"""One document by itself: its kind, its schema, and its filters' schemas and own checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..errors import Problem
from ..plugins import GROUP, Kind, Kinds, raised_at
from ..schema import Schema, complete, errors, is_write_only
from .documents import Document, Node, Path, type_name
from .schemas import OBJECT_KINDS, entry_schema, object_schema
from .wording import did_you_mean, listed, words_for

#: Who brings the kinds that people know from the documentation.
KNOWN_PLUGINS = {"WebSocketProxy": "easews-wsproxy", "XForwarded": "easews-headers"}


def check_document(document: Document, kinds: Kinds) -> Iterator[Problem]:
    """The faults of a document that show without looking at others."""
    root = document.root
    if root.void:
        return
    if not isinstance(root.value, dict):
        wrong = f"this is {type_name(root.value)}, not an object"
        yield document.problem((), wrong, "write a mapping with kind and name")
        return
    kind = root.text("kind")
    if kind not in OBJECT_KINDS:
        yield from _kind_problem(document, (), *_unknown_object(root, kinds))
        return
    yield from _schema_problems(document, (), object_schema(kind))
    if kind == "Pipeline":
        for number, _ in root.items("filters"):
            yield from _check_filter(document, ("filters", number), kinds)


def _kind_problem(document: Document, path: Path, wrong: str, accepted: str) -> Iterator[Problem]:
    node = document.at((*path, "kind"))
    if node is None or not node.void:
        yield document.problem(path if node is None else (*path, "kind"), wrong, accepted)


def _unknown_object(root: Node, kinds: Kinds) -> tuple[str, str]:
    kind = root.get("kind")
    expected = f"expected {' or '.join(OBJECT_KINDS)}"
    if kind is None:
        return "'kind' is missing", expected
    if isinstance(kind.value, str) and not kind.hidden:
        if kind.value in kinds or kind.value in KNOWN_PLUGINS:
            return f"{kind.value} is a kind of filter", "it belongs in the filters of a Pipeline"
        expected = did_you_mean(kind.value, OBJECT_KINDS) or expected
    return f"{kind.shown} is no kind of object", expected


def _unknown_filter(kind: Node, kinds: Kinds) -> tuple[str, str]:
    """Why no installed plugin brings this kind of filter, and what to do."""
    installed = f"installed: {listed(kinds)}"
    name = str(kind.value)
    if kind.hidden:
        return "this kind of filter (not shown) is not installed", installed
    if name in OBJECT_KINDS:
        return f"{name} is no filter", "it is a document of its own"
    package = KNOWN_PLUGINS.get(name)
    for fault in kinds.broken:
        if fault.distribution == package or name in fault.problem:
            return f"the kind of filter {name!r} is left out, because its plugin is broken", str(
                fault
            )
    hint = f"pip install {package}" if package else did_you_mean(name, kinds)
    if not hint and kinds.broken:
        hint = f"broken plugins: {listed(fault.distribution for fault in kinds.broken)}"
    if not hint:
        installed += f"; a package brings a kind by an entry point in the group {GROUP!r}"
    return f"no kind of filter {name!r} is installed", "; ".join(filter(None, (hint, installed)))


def _check_filter(document: Document, path: Path, kinds: Kinds) -> Iterator[Problem]:
    node = document.at(path)
    kind = node.get("kind") if node is not None else None
    if node is None or kind is None or not isinstance(kind.value, str):
        return  # the Pipeline's schema has said so
    if kind.value not in kinds:
        yield from _kind_problem(document, path, *_unknown_filter(kind, kinds))
        return
    schema = entry_schema(kinds[kind.value])
    faults = list(_schema_problems(document, path, schema))
    # What the Pipeline's schema finds in an entry, the kind's own finds again.
    yield from faults
    if not faults and not any(part.void for _, part in node.scalars()):
        yield from _spec_problems(document, path, node, kinds[kind.value], schema)


def _spec_problems(
    document: Document, path: Path, node: Node, kind: Kind, schema: Schema
) -> Iterator[Problem]:
    """What the filter's own `check` has to say. Its texts are searched for hidden values."""
    secrets = {
        str(secret.value)
        for at, secret in node.scalars()
        if secret.value not in (None, "") and (secret.hidden or is_write_only(schema, at))
    }

    def clean(text: str) -> str:
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "(not shown)")
        return text

    try:
        for fault in kind.filter_class.check(filter_spec(schema, node.value)):
            at = (*path, *fault.path)
            yield document.problem(at, clean(fault.wrong), clean(fault.accepted))
    except Exception as error:
        spot = raised_at(error, kind.filter_class.__module__)
        wrong = f"the check of {kind.name} fails with {type(error).__name__}{spot}"
        yield document.problem(path, wrong, f"update {kind.distribution} {kind.version}")


def filter_spec(schema: Schema, entry: Any) -> dict[str, Any]:
    """What a filter is made from: a valid entry, completed, without kind and name."""
    completed = complete(schema, entry)
    return {key: value for key, value in completed.items() if key not in ("kind", "name")}


def _schema_problems(document: Document, path: Path, schema: Schema) -> Iterator[Problem]:
    """The faults of the value at `path`, which `schema` describes; void values have theirs."""
    root = document.at(path)
    assert root is not None
    for error in errors(schema, root.value):
        within = tuple(error.absolute_path)
        at = (*path, *within)
        *_, node = root.descend(within)
        if node.void:
            continue
        if is_write_only(schema, within):
            node = replace(node, hidden=True)
        for wrong, accepted, key in words_for(error, node, schema, within):
            if key is None:
                yield document.problem(at, wrong, accepted)
            else:
                yield document.key_problem(at, key, wrong, accepted)
