"""One mistake, one message: what is found in a document, and what only follows from another fault.

    clientMaxBodysize: -1     an unknown key is told, and taken for what it is near to
    backend: p                beside `paths` is told as misplaced, not as missing within `paths`
    clientMaxBodySize: 10MB   is told, and what depends on its value is not

The first two leave out findings of the document itself (`causes`). For checks between documents
`reliable` makes a document in which a near key has its right name, and every value that a finding
is about is void: void values are passed over, because their fault is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from ..errors import Problem
from .documents import Document, Node, Path
from .phrases import Wording

Change = Callable[[Node], Node]


class Finding(NamedTuple):
    """A fault of the value at `path`, or of keys of the mapping there."""

    path: Path
    words: Wording

    def problem(self, document: Document) -> Problem:
        words = self.words
        if words.keys:
            return document.key_problem(self.path, words.keys[0], words.wrong, words.accepted)
        return document.problem(self.path, words.wrong, words.accepted)


def causes(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that do not follow from another one, each once."""
    found = list(dict.fromkeys(findings))
    follows = _Explained(found).follows
    return [it for it in found if not follows(it)]


class _Explained:
    """What would be gone if the other findings were mended."""

    def __init__(self, found: Sequence[Finding]) -> None:
        self._missing: set[tuple[Path, str]] = set()
        self._missing_below: set[tuple[Path, str]] = set()
        self._empty: set[Path] = set()
        #: Where something tells more than a vague finding at the same path.
        self._told = {
            path[:depth]
            for path, words in found
            if not words.vague
            for depth in range(len(path) + 1)
        }
        for path, words in found:
            if words.near:
                self._missing.add((path, words.near))
            if words.replaces:
                self._missing.add((path[:-1], words.replaces))
            if words.inside:
                self._missing_below |= {((*path, words.inside), key) for key in words.keys}
            if words.fills:
                self._empty.add((*path, words.inside))

    def follows(self, it: Finding) -> bool:
        path, words = it
        if words.vague:
            return path in self._told
        if words.missing:
            return (path, words.missing) in self._missing or any(
                (path[:depth], words.missing) in self._missing_below
                for depth in range(len(path) + 1)
            )
        return not words.keys and path in self._empty


def reliable(document: Document, findings: Iterable[Finding]) -> Document:
    """The document as far as it can be relied on: see the text above."""
    changes: dict[Path, list[Change]] = defaultdict(list)
    for path, words in findings:
        if words.near:
            changes[path].append(partial(_renamed, old=words.keys[0], new=words.near))
        elif words.inside:
            changes[(*path, words.inside)].append(partial(_filled, keys=words.keys))
        elif not words.keys:
            changes[path].append(_voided)
    around = {path[:depth] for path in changes for depth in range(len(path) + 1)}
    return replace(document, root=_changed(document.root, (), changes, around))


def _changed(
    node: Node, path: Path, changes: Mapping[Path, Iterable[Change]], around: Container[Path]
) -> Node:
    """`node`, which stands at `path`, with the changes to it and to what is `around` others."""
    if path not in around:
        return node
    node = _with_children(
        node,
        {
            step: _changed(child, (*path, step), changes, around)
            for step, child in node.children.items()
        },
    )
    for change in changes.get(path, ()):
        node = change(node)
    return node


def _with_children(node: Node, children: Mapping[str | int, Node]) -> Node:
    if not isinstance(node.value, (dict, list)):
        return node
    values = {key: child.value for key, child in children.items()}
    value = [*values.values()] if isinstance(node.value, list) else values
    return replace(node, value=value, children=children)


def _renamed(node: Node, *, old: str, new: str) -> Node:
    if new in node.children:
        return node
    return _with_children(
        node, {new if key == old else key: child for key, child in node.children.items()}
    )


def _filled(node: Node, *, keys: Collection[str]) -> Node:
    """With void values for these keys in the mapping, or in each one of the list."""
    if isinstance(node.value, list):
        return _with_children(
            node, {key: _filled(child, keys=keys) for key, child in node.children.items()}
        )
    if not isinstance(node.value, dict):
        return node
    added: dict[str | int, Node] = {
        key: Node(None, node.place, void=True) for key in keys if key not in node.children
    }
    return _with_children(node, {**node.children, **added})


def _voided(node: Node) -> Node:
    """Without its value. A mapping stays: the findings about its values have their own paths."""
    return node if isinstance(node.value, dict) else Node(None, node.place, void=True)
