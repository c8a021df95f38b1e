"""One document by itself: its kind, its schema, and its filters' schemas and own checks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from ..errors import Problem
from ..observe.formatted import check_format
from ..plugins import GROUP, Kind, Kinds, raised_at
from ..schema import Schema, complete, errors, is_write_only
from ..spelling import did_you_mean, nearest
from ..templates import TemplateFault
from .documents import Document, Node, Path, type_name
from .easegress import instead_of
from .findings import Finding, causes, reliable
from .phrases import Wording, either, listed
from .schemas import OBJECT_KINDS, entry_schema, object_schema
from .wording import words_for

#: Who brings the kinds that people know from the documentation.
#: Lower than for other keys: that the value is a kind tells enough.
_ALIKE = 0.5
KNOWN_PLUGINS = {
    "CORSAdaptor": "easews-headers",
    "Proxy": "easews-httpproxy",
    "Fallback": "easews-headers",
    "MessageLogger": "easews-messages",
    "MessageRateLimiter": "easews-messages",
    "MessageTransform": "easews-messages",
    "MessageValidator": "easews-messages",
    "Mock": "easews-headers",
    "Redirector": "easews-headers",
    "RequestAdaptor": "easews-headers",
    "ResponseAdaptor": "easews-headers",
    "SecurityHeaders": "easews-headers",
    "WebSocketProxy": "easews-wsproxy",
    "XForwarded": "easews-headers",
}


class Checked(NamedTuple):
    """A document with its faults that show without looking at others.

    `reliable` is the document as far as it can be relied on, for the checks that do look at
    others. `specs` has what each filter is made from, as long as its entry has no fault.
    """

    document: Document
    problems: list[Problem]
    reliable: Document
    specs: Mapping[int, dict[str, Any]]


def check_document(document: Document, kinds: Kinds) -> Checked:
    """The document by itself."""
    specs: dict[int, dict[str, Any]] = {}
    slips = [*_misspelt_kinds(document, kinds)]
    found = [*slips, *_findings(reliable(document, slips), kinds, specs)]
    problems = [it.problem(document) for it in causes(found)]
    return Checked(document, problems, reliable(document, found), specs)


def _findings(
    document: Document, kinds: Kinds, specs: dict[int, dict[str, Any]]
) -> Iterator[Finding]:
    root = document.root
    if root.void:
        return
    if not isinstance(root.value, dict):
        wrong = f"this is {type_name(root.value)}, not an object"
        yield Finding((), Wording(wrong, "write a mapping with kind and name"))
        return
    kind = root.text("kind")
    if kind not in OBJECT_KINDS:
        yield from _kind_finding(document, (), *_unknown_object(root, kinds))
        return
    yield from _schema_findings(document, (), object_schema(kind))
    if kind == "HTTPServer":
        yield from _format_findings(root.get("accessLogFormat"))
    if kind == "Pipeline":
        for number, _ in root.items("filters"):
            yield from _check_filter(document, number, kinds, specs)


def _format_findings(node: Node | None) -> Iterator[Finding]:
    if node is None or node.void or not isinstance(node.value, str):
        return
    try:
        check_format(node.value)
    except TemplateFault as fault:
        wrong = "this format (not shown) is no template" if node.hidden else fault.wrong
        yield Finding(("accessLogFormat",), Wording(wrong, fault.accepted))


def _misspelt_kinds(document: Document, kinds: Kinds) -> Iterator[Finding]:
    """Keys that are a slip of `kind`, as their values tell: without it nothing else is known."""
    yield from _misspelt_kind((), document.root, OBJECT_KINDS)
    for number, entry in document.root.items("filters"):
        yield from _misspelt_kind(("filters", number), entry, kinds)


def _misspelt_kind(path: Path, node: Node, known: Collection[str]) -> Iterator[Finding]:
    if node.get("kind") is None:
        named = [key for key in node.keys if node.text(key) in known]
        if slip := nearest("kind", named, _ALIKE):
            words = Wording(f"unknown key {slip!r}", "did you mean 'kind'?", (slip,), near="kind")
            yield Finding(path, words)


def _kind_finding(document: Document, path: Path, wrong: str, accepted: str) -> Iterator[Finding]:
    node = document.at((*path, "kind"))
    if node is None or not node.void:
        yield Finding(path if node is None else (*path, "kind"), Wording(wrong, accepted))


def _unknown_object(root: Node, kinds: Kinds) -> tuple[str, str]:
    kind = root.get("kind")
    expected = f"expected {either(OBJECT_KINDS)}"
    if kind is None:
        return "'kind' is missing", expected
    if isinstance(kind.value, str) and not kind.hidden:
        if kind.value in kinds or kind.value in KNOWN_PLUGINS:
            return f"{kind.value} is a kind of filter", "it belongs in the filters of a Pipeline"
        if missing := instead_of(kind.value):
            return missing
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
    if missing := instead_of(name):
        return missing
    hint = f"pip install {package}" if package else did_you_mean(name, kinds)
    if not hint and kinds.broken:
        hint = f"broken plugins: {listed(fault.distribution for fault in kinds.broken)}"
    if not hint:
        installed += (
            f"; a package brings a kind by an entry point in the group {GROUP!r}, a single file "
            "only to `easews run --watch-plugins FILE.py`"
        )
    return f"no kind of filter {name!r} is installed", "; ".join(filter(None, (hint, installed)))


def _check_filter(
    document: Document, number: int, kinds: Kinds, specs: dict[int, dict[str, Any]]
) -> Iterator[Finding]:
    path: Path = ("filters", number)
    node = document.at(path)
    kind = node.get("kind") if node is not None else None
    if node is None or kind is None or not isinstance(kind.value, str):
        return  # the Pipeline's schema has said so
    if kind.value not in kinds:
        yield from _kind_finding(document, path, *_unknown_filter(kind, kinds))
        return
    schema = entry_schema(kinds[kind.value])
    faults = list(_schema_findings(document, path, schema))
    # What the Pipeline's schema finds in an entry, the kind's own finds again.
    yield from faults
    if not faults and not any(part.void for _, part in node.scalars()):
        specs[number] = _spec(schema, node.value, document.file)
        yield from _spec_findings(path, node, kinds[kind.value], schema, specs[number])


def _spec(schema: Schema, entry: Any, file: str) -> dict[str, Any]:
    """What a filter is made from: a valid entry of `file`, completed, without kind and name."""
    completed = complete(schema, entry, str(FilePath(file).parent))
    return {key: value for key, value in completed.items() if key not in ("kind", "name")}


def _spec_findings(
    path: Path, node: Node, kind: Kind, schema: Schema, spec: Mapping[str, Any]
) -> Iterator[Finding]:
    """What the filter's own `check` has to say. Its texts are searched for hidden values."""
    try:
        for fault in kind.filter_class.check(spec):
            wrong = _without_secrets(fault.wrong, node, schema)
            accepted = _without_secrets(fault.accepted, node, schema)
            yield Finding((*path, *fault.path), Wording(wrong, accepted))
    except Exception as error:
        spot = raised_at(error, kind.filter_class.__module__)
        wrong = f"the check of {kind.name} fails with {type(error).__name__}{spot}"
        yield Finding(path, Wording(wrong, f"update {kind.distribution} {kind.version}"))


def _without_secrets(text: str, entry: Node, schema: Schema) -> str:
    secrets = {
        str(node.value)
        for path, node in entry.scalars()
        if node.value not in (None, "") and (node.hidden or is_write_only(schema, path))
    }
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "(not shown)")
    return text


def _schema_findings(document: Document, path: Path, schema: Schema) -> Iterator[Finding]:
    """The faults of the value at `path`, which `schema` describes; void values have theirs."""
    root = document.at(path)
    assert root is not None
    for error in errors(schema, root.value):
        within = tuple(error.absolute_path)
        *_, node = root.descend(within)
        if node.void:
            continue
        if is_write_only(schema, within):
            node = replace(node, hidden=True)
        for words in words_for(error, node, schema, within):
            yield Finding((*path, *within), words)
