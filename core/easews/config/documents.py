"""Values that know where they stand in their file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import Problem

Path = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*").fullmatch
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}").fullmatch
_LONGEST_SHOWN = 60

#: What stands in the place of each character that must not be shown.
MASK = "*"
# What a URL may have that is nobody else's business: user and password, also where its scheme
# was forgotten; query and fragment.
_URL_SECRETS = [
    re.compile(r"(?://|^(?=[^/@]*:(?!//)))(.*)@", re.DOTALL),
    re.compile(r"//[^?#]*[?#](.+?)[\"']?\Z", re.DOTALL),
]


class Place(NamedTuple):
    """Where something begins and what it ends before: lines and columns, counted from 1.

    A list or mapping that is written in lines of its own is where its first entry or key is.
    """

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Node:
    """A value, and the values in it.

    `hidden` values come from a variable or are secrets: no message shows them. A `void` node
    stands for a value that could not be read; its fault is known already. `size` counts the
    values in it. An alias is at its own `place`; `anchored` is where its value is written.
    """

    value: Any
    place: Place
    children: Mapping[str | int, Node] = field(default_factory=dict)
    keys: Mapping[str, Place] = field(default_factory=dict)
    hidden: bool = False
    void: bool = False
    size: int = 1
    anchored: Place | None = None

    def get(self, key: str) -> Node | None:
        """What stands under `key`, if this is a mapping that has it."""
        return self.children.get(key)

    def text(self, key: str) -> str | None:
        """The text under `key`; None when there is none."""
        child = self.get(key)
        return child.value if child is not None and isinstance(child.value, str) else None

    def items(self, key: str) -> list[tuple[int, Node]]:
        """The entries of the list under `key` with their numbers; none when it is no list."""
        child = self.get(key)
        if child is None or not isinstance(child.value, list):
            return []
        return [
            (number, node) for number, node in child.children.items() if isinstance(number, int)
        ]

    def descend(self, path: Path) -> Iterator[Node]:
        """The nodes on the way along `path`, this one first, as far as there are any."""
        node: Node | None = self
        for step in (*path, None):
            if node is None:
                return
            yield node
            node = node.children.get(step) if step is not None else None

    def scalars(self, path: Path = ()) -> Iterator[tuple[Path, Node]]:
        """Every value in it that is neither list nor mapping, and the path that leads there."""
        if not isinstance(self.value, (dict, list)):
            yield path, self
        for step, child in self.children.items():
            yield from child.scalars((*path, step))

    @property
    def shown(self) -> str:
        """The value for a message, with nothing in it that a terminal would obey."""
        if isinstance(self.value, (dict, list)):
            return type_name(self.value)
        if self.hidden:
            return "this value (not shown)"
        if self.value is None:
            return "an empty value"
        is_text = isinstance(self.value, str)
        shown = repr(without_url_secrets(self.value)) if is_text else str(self.value).lower()
        return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."


def without_url_secrets(text: str) -> str:
    """`text` with user, password, query and fragment masked if it is a URL; of the same length."""
    for begin, end in [found.span(1) for secret in _URL_SECRETS if (found := secret.search(text))]:
        text = text[:begin] + MASK * (end - begin) + text[end:]
    return text


# bool stands before int, of which it is a subclass.
_TYPE_NAMES = {
    bool: "true or false",
    str: "text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}


def type_name(value: object) -> str:
    """What the type of `value` is called."""
    return next(
        (name for type_, name in _TYPE_NAMES.items() if isinstance(value, type_)), "nothing"
    )


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: an object of the config, hopefully."""

    file: str
    number: int
    root: Node

    @property
    def label(self) -> str:
        """What paths begin with: the object's name if it may be shown, else which document."""
        name = self.root.text("name")
        if name is None or self.root.children["name"].hidden or not _NAME(name):
            return f"document {self.number}"
        return name

    def at(self, path: Path) -> Node | None:
        """The node at `path`; None when there is none."""
        nodes = list(self.root.descend(path))
        return nodes[-1] if len(nodes) == len(path) + 1 else None

    def problem(self, path: Path, wrong: str, accepted: str = "") -> Problem:
        """A fault of the value at `path`, or of the nearest one around it."""
        *_, nearest = self.root.descend(path)
        return self.problem_at(nearest.place, path, wrong, accepted)

    def key_problem(self, path: Path, key: str, wrong: str, accepted: str = "") -> Problem:
        """A fault of a key of the mapping at `path`."""
        *_, nearest = self.root.descend(path)
        return self.problem_at(nearest.keys.get(key, nearest.place), (*path, key), wrong, accepted)

    def problem_at(self, place: Place, path: Path, wrong: str, accepted: str = "") -> Problem:
        """A fault at `place`, which is that of the value at `path`."""
        where = self.label + shown_path(path)
        return problem_at(self.file, place, where, wrong, accepted, self._kind_around(path))

    def _kind_around(self, path: Path) -> str:
        """The kind of the object or filter that `path` leads into."""
        kinds = [node.children.get("kind") for node in self.root.descend(path)]
        named = [kind.value for kind in kinds if kind is not None and not kind.hidden]
        return next((kind for kind in reversed(named) if isinstance(kind, str)), "")


def unread(file: str, number: int = 1) -> Document:
    """What stands for documents that could not be read; their fault is known already."""
    return Document(file, number, Node(None, Place(1, 1, 1, 1), void=True))


def problem_at(
    file: str, place: Place, path: str, wrong: str, accepted: str = "", kind: str = ""
) -> Problem:
    """A Problem whose spot is `place`."""
    line, column, end_line, end_column = place
    return Problem(
        *(file, line, column, path, wrong, accepted),
        end_line=end_line,
        end_column=end_column,
        kind=kind,
    )


def shown_path(path: Path) -> str:
    """`path` as people write it: ``.rules[0].paths[1]``; odd keys in quotes."""
    return "".join(
        f"[{step}]"
        if isinstance(step, int)
        else f".{step}"
        if _PLAIN_KEY(step)
        else f"[{step[:_LONGEST_SHOWN]!r}]"
        for step in path
    )
