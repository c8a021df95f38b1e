"""One mistake, one message: what is found in a document, and what only follows from another fault.

    clientMaxBodysize: -1     an unknown key is told, and taken for what it is near to
    backend: p                beside `paths` is told as misplaced, not as missing within `paths`
    clientMaxBodySize: 10MB   is told, and what depends on its value is not

The first two leave out findings of the document itself (`causes`). For checks between documents
`reliable` makes a document in which a near key has its right name, and every value that a finding
is about is void: void values are passed over, because their fault is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from ..errors import Problem
from .documents import Document, Node, Path
from .wording import Wording


class Finding(NamedTuple):
    """A fault of the value at `path`, or of keys of the mapping there."""

    path: Path
    words: Wording

    def problem(self, document: Document) -> Problem:
        words = self.words
        if words.keys:
            return document.key_problem(self.path, words.keys[0], words.wrong, words.accepted)
        return document.problem(self.path, words.wrong, words.accepted)


def causes(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that do not follow from another one, each once."""
    found = list(dict.fromkeys(findings))
    return [it for it in found if not any(_follows(it, other) for other in found)]


def _follows(it: Finding, other: Finding) -> bool:
    """Whether `it` would be gone if what `other` tells were mended."""
    words = other.words
    if it.words.vague:
        return other is not it and other.path[: len(it.path)] == it.path
    if words.inside and words.fills and it.path == (*other.path, words.inside):
        return True
    missing = it.words.missing
    if not missing:
        return False
    if words.replaces == missing:
        return other.path[:-1] == it.path
    if words.near == missing:
        return other.path == it.path
    within = (*other.path, words.inside)
    return missing in words.keys and it.path[: len(within)] == within


def reliable(document: Document, findings: Iterable[Finding]) -> Document:
    """The document as far as it can be relied on: see the text above."""
    root = document.root
    for path, words in findings:
        if words.near:
            root = _changed(root, path, partial(_renamed, old=words.keys[0], new=words.near))
        elif words.inside:
            root = _changed(root, (*path, words.inside), partial(_filled, keys=words.keys))
        elif not words.keys:
            root = _changed(root, path, _voided)
    return replace(document, root=root)


def _changed(node: Node, path: Path, change: Callable[[Node], Node]) -> Node:
    """`node` with what stands at `path` in it changed, if there is anything."""
    if not path:
        return change(node)
    if path[0] not in node.children:
        return node
    children = {**node.children, path[0]: _changed(node.children[path[0]], path[1:], change)}
    return _with_children(node, children)


def _with_children(node: Node, children: Mapping[str | int, Node]) -> Node:
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
