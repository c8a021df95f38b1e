"""YAML text to documents, safely: no tags, no alias bombs, no key twice, and bounded depth.

PyYAML parses the text into events; the tree is built here, because its own composer knows
neither the places of keys nor a limit, and lets the last of two equal keys win.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import yaml
from yaml import events as ev

from ..errors import Problem
from .documents import Document, Node, Path, Place, problem_at, unread
from .scalars import VariableError, substitute, typed
from .sources import Source
from .yamlevents import Unreadable, fast_events, place_of, slow_events

#: How deep values may stand in each other. A config needs a dozen levels.
MAX_DEPTH = 64
#: How many values aliases may add to a document.
MAX_ALIASED = 10_000
#: Escapes and variables may hold them; no encoding does.
_SURROGATE = re.compile("[\ud800-\udfff]")
#: What every object has, once.
_IDENTITY = frozenset(["kind", "name"])


class _Fault(NamedTuple):
    place: Place
    path: Path
    wrong: str
    accepted: str


class _Entry(NamedTuple):
    key: str
    place: Place
    value: Node


def read_documents(
    source: Source, environ: Mapping[str, str]
) -> tuple[list[Document], list[Problem]]:
    """The documents of a file that are not empty, and the faults of its YAML.

    A value with a fault is void in its document; a syntax error ends the file, and the last of
    its documents is void.
    """
    events = fast_events(source.text)
    if events is not None:
        with suppress(yaml.YAMLError, ValueError):
            return _read(source, events, environ)
    return _read(source, slow_events(source.text), environ)


def _read(
    source: Source, events: Iterator[Any], environ: Mapping[str, str]
) -> tuple[list[Document], list[Problem]]:
    documents: list[Document] = []
    problems: list[Problem] = []
    number = 0
    try:
        for event in events:
            if not isinstance(event, ev.DocumentStartEvent):
                continue
            number += 1
            tree = _Tree(events, environ)
            root = tree.node(())
            found = [Document(source.name, number, node) for node in (*tree.earlier, root)]
            problems += [_around(found, fault).problem_at(*fault) for fault in tree.faults]
            documents += [it for it in found if it.root.value is not None or it.root.void]
    except Unreadable as error:
        problems.append(problem_at(source.name, error.place, "", error.wrong, error.accepted))
        documents.append(unread(source.name, number))
    return documents, problems


def _around(documents: list[Document], fault: _Fault) -> Document:
    """The document that a fault stands in."""
    begun = [it for it in documents if it.root.place[:2] <= fault.place[:2]]
    return (begun or documents)[-1]


@dataclass(slots=True)
class _Tree:
    """Builds the nodes of one document from its events.

    `earlier` are objects before the document's own that should have been documents themselves.
    """

    events: Iterator[Any]
    environ: Mapping[str, str]
    faults: list[_Fault] = field(default_factory=list)
    earlier: list[Node] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)
    aliased: int = 0

    def node(self, path: Path) -> Node:
        """The node that begins with the next event."""
        return self._from(next(self.events), path)

    def _from(self, event: Any, path: Path) -> Node:
        place = place_of(event)
        if len(path) > MAX_DEPTH:
            raise Unreadable(place, f"nested more than {MAX_DEPTH} levels deep", "write it flatter")
        if isinstance(event, ev.AliasEvent):
            return self._alias(event, path, place)
        if event.anchor:
            self.anchors[event.anchor] = None  # known, but not complete
        if isinstance(event, ev.ScalarEvent):
            node = self._scalar(event, path, place)
        elif isinstance(event, ev.SequenceStartEvent):
            node = self._list(event, path)
        else:
            node = self._mapping(event, path)
        if event.tag is not None and event.tag != "!":
            node = self._void(
                place, path, "YAML tags are not accepted", "remove the tag; text goes in quotes"
            )
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _scalar(self, event: ev.ScalarEvent, path: Path, place: Place) -> Node:
        try:
            text, from_variable = substitute(event.value, self.environ)
        except VariableError as error:
            return self._void(place, path, error.wrong, error.accepted)
        if _SURROGATE.search(text):
            wrong = "half of a character, a surrogate from U+D800 to U+DFFF"
            return self._void(place, path, wrong, "write the character itself")
        plain = not event.style  # None, and empty in libyaml's events
        return Node(typed(text) if plain else text, place, hidden=from_variable)

    def _list(self, start: Any, path: Path) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(self.events), ev.SequenceEndEvent):
            items.append(self._from(event, (*path, len(items))))
        return Node(
            [item.value for item in items],
            place_of(start, event if start.flow_style else None),
            dict(enumerate(items)),
            size=1 + sum(item.size for item in items),
        )

    def _mapping(self, start: Any, path: Path) -> Node:
        entries: list[_Entry] = []
        while not isinstance(event := next(self.events), ev.MappingEndEvent):
            key = self._key(event, path)
            value = self.node((*path, key or ""))
            if key is not None:
                entries.append(_Entry(key, place_of(event), value))
        if start.flow_style:
            return self._joined(entries, path, place_of(start, event))
        *earlier, own = [entries] if path else _objects(entries)
        self.earlier = [self._joined(those, path, those[0].place) for those in earlier]
        for those in (*earlier, own)[1:]:
            wrong, accepted = "another object begins here", "write a line with --- above this one"
            self.faults.append(_Fault(those[0].place, path, wrong, accepted))
        return self._joined(own, path, own[0].place if own else place_of(start))

    def _joined(self, entries: list[_Entry], path: Path, place: Place) -> Node:
        """The mapping of these entries. The first of two equal keys keeps its place."""
        children: dict[str | int, Node] = {}
        keys: dict[str, Place] = {}
        for key, at, value in entries:
            if key in keys:
                wrong = f"{key!r} is there twice, first in line {keys[key].line}"
                self.faults.append(_Fault(at, (*path, key), wrong, "remove one of the two"))
            children[key] = value
            keys.setdefault(key, at)
        return Node(
            {key: child.value for key, child in children.items()},
            place,
            children,
            keys,
            size=1 + sum(child.size for child in children.values()),
        )

    def _key(self, event: Any, path: Path) -> str | None:
        """The text of a key. Variables are for values: a key is taken as it is written."""
        place = place_of(event)
        is_text = isinstance(event, ev.ScalarEvent) and (
            (event.style or isinstance(typed(event.value), str))
            and not _SURROGATE.search(event.value)
        )
        if is_text and event.tag in (None, "!") and not event.anchor:
            return str(event.value)
        known = len(self.faults)
        self._from(event, (*path, ""))  # past all of it
        if len(self.faults) == known:
            self._void(place, path, "a key that is not plain text", "put the key in quotes")
        return None

    def _alias(self, event: ev.AliasEvent, path: Path, place: Place) -> Node:
        name = event.anchor or ""
        node = self.anchors.get(name)
        if node is None:
            wrong = "stands inside its own anchor" if name in self.anchors else "has no anchor"
            return self._void(
                place, path, f"the alias *{name} {wrong}", f"write an anchor &{name} before it"
            )
        self.aliased += node.size
        if self.aliased > MAX_ALIASED:
            wrong = f"aliases add more than {MAX_ALIASED} values to this document"
            raise Unreadable(place, wrong, "write it with fewer aliases")
        return replace(node, place=place, anchored=node.anchored or node.place)

    def _void(self, place: Place, path: Path, wrong: str, accepted: str) -> Node:
        self.faults.append(_Fault(place, path, wrong, accepted))
        return Node(None, place, void=True)


def _objects(entries: list[_Entry]) -> list[list[_Entry]]:
    """A document's entries, divided where a second kind and name tell that a ``---`` is missing."""
    last = {entry.key: number for number, entry in enumerate(entries)}
    objects: list[list[_Entry]] = [[]]
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        is_next = entry.key in seen and seen >= _IDENTITY and entry.key in _IDENTITY
        if is_next and all(last[key] >= number for key in _IDENTITY):
            objects.append([])
            seen = set()
        objects[-1].append(entry)
        seen.add(entry.key)
    return objects
