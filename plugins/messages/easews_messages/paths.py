"""Which fields of a JSON value a config means: a small part of JSONPath (RFC 9535). Pure.

    $.user.name      the field `name` of the field `user`
    $['odd name']    a name that has more than letters, digits, _ and -
    $.users[0]       the first item of a list; [-1] is the last
    $.users[*].name  the same of every item; `.*` is every field
    $..token         the field `token` wherever it is, at any depth; `..` at most once

Filters, slices and unions are not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .jsontext import within

_step = re.compile(
    r"""
      (?P<dots> \.\.? ) (?P<name> [^\W\d][\w-]* )
    | (?P<deep> \.\. )? \[ ' (?P<single> (?:[^'\\]|\\.)* ) ' \]
    | (?P<deeper> \.\. )? \[ " (?P<double> (?:[^"\\]|\\.)* ) " \]
    | (?P<all> \.\* | \[\*\] )
    | \[ (?P<index> -?[0-9]{1,9} ) \]
    """,
    re.VERBOSE,
)
_escaped = re.compile(r"\\(.)")


class PathFault(ValueError):
    """What is wrong with a path, and from which character on (the first is 1)."""


class Place(NamedTuple):
    """Where a value stands: in an object by its name, in a list by its number."""

    container: Any
    key: str | int

    @property
    def value(self) -> Any:
        return self.container[self.key]


class _Name(NamedTuple):
    name: str

    def places(self, value: Any) -> Iterator[Place]:
        if isinstance(value, dict) and self.name in value:
            yield Place(value, self.name)


class _Deep(NamedTuple):
    name: str

    def places(self, value: Any) -> Iterator[Place]:
        waiting = within([value])
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict) and self.name in value:
                yield Place(value, self.name)
            waiting += within(value)


class _Index(NamedTuple):
    number: int

    def places(self, value: Any) -> Iterator[Place]:
        if isinstance(value, list) and -len(value) <= self.number < len(value):
            yield Place(value, self.number)


class _All(NamedTuple):
    def places(self, value: Any) -> Iterator[Place]:
        keys: Sequence[str | int] = ()
        if isinstance(value, dict):
            keys = [*value]
        elif isinstance(value, list):
            keys = range(len(value))
        yield from (Place(value, key) for key in keys)


_all = _All()
_Step = _Name | _Deep | _Index | _All


class JsonPath:
    """A path, parsed. PathFault when `text` is none.

    is_root  whether it is ``$``, the whole value
    """

    def __init__(self, text: str) -> None:
        self._steps = list(_parsed(text))
        self.is_root: bool = not self._steps

    def places(self, value: Any, *, absent: bool = False) -> list[Place]:
        """Where in `value` the fields stand, each once.

        With `absent` also a field that its object does not have yet, unless it is meant `..`.
        The place of the whole value is in a list of its own.
        """
        found = [Place([value], 0)]
        for number, step in enumerate(self._steps, 1):
            if absent and number == len(self._steps) and isinstance(step, _Name):
                parents = [place.value for place in found]
                return [Place(it, step.name) for it in parents if isinstance(it, dict)]
            found = [inner for place in found for inner in step.places(place.value)]
        return found


def _parsed(text: str) -> Iterator[_Step]:
    if not text.startswith("$"):
        raise PathFault("a path begins with $")
    at, is_deep = 1, False
    while at < len(text):
        match = _step.match(text, at)
        if match is None:
            raise PathFault(f"character {at + 1} begins no step of a path")
        step = _step_of(match)
        if is_deep and isinstance(step, _Deep):
            raise PathFault(f"character {at + 1} begins a second ..")
        is_deep = is_deep or isinstance(step, _Deep)
        yield step
        at = match.end()


def _step_of(match: re.Match[str]) -> _Step:
    if match["all"]:
        return _all
    if match["index"]:
        return _Index(int(match["index"]))
    quoted = next((it for it in (match["single"], match["double"]) if it is not None), "")
    name = match["name"] or _escaped.sub(r"\1", quoted)
    is_deep = match["deep"] or match["deeper"] or match["dots"] == ".."
    return _Deep(name) if is_deep else _Name(name)
