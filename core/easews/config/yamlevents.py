"""What PyYAML's parser says of a text: events with their places.

They come from libyaml where PyYAML has it, which is many times faster. Its complaints are not those
that `syntax` knows, so a text that it refuses is read again by the parser in Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from .documents import Place
from .syntax import syntax_fault

# What libyaml takes for something else, or elsewhere: tabs, tags, `?`, directives.
_READ_OTHERWISE = re.compile(r"[\t\ufeff!?%]")
_LIBYAML: Any = getattr(yaml, "CSafeLoader", None)


class Unreadable(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, place: Place, wrong: str, accepted: str = "") -> None:
        super().__init__(wrong)
        self.place: Place = place
        self.wrong: str = wrong
        self.accepted: str = accepted


def fast_events(text: str) -> Iterator[Any] | None:
    """libyaml's events; None when it is not there, or would read the text otherwise. It raises
    yaml.YAMLError or ValueError when the text is no YAML.
    """
    if _LIBYAML is None or _READ_OTHERWISE.search(text):
        return None
    events: Iterator[Any] = yaml.parse(text, Loader=_LIBYAML)
    return events


def slow_events(text: str) -> Iterator[Any]:
    """The events of the parser in Python; Unreadable with a place when the text is no YAML."""
    place = Place(1, 1, 1, 1)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            place = place_of(event)
            yield event
    except yaml.MarkedYAMLError as error:
        line, column, wrong, accepted = syntax_fault(error)
        raise Unreadable(_point(line, column), wrong, accepted) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        at = _point(before.count("\n") + 1, len(before) - before.rfind("\n"))
        wrong = f"the character U+{ord(text[error.position]):04X} may not stand in YAML"
        raise Unreadable(
            at, wrong, 'write it as an escape such as "\\x07" in double quotes'
        ) from None
    except (ValueError, OverflowError):  # of chr() and int(), deep in the scanner
        raise Unreadable(place, "not YAML: an escape or number that is out of range") from None


def _point(line: int, column: int) -> Place:
    return Place(line, column, line, column + 1)


def place_of(begin: Any, end: Any = None) -> Place:
    """From where the event `begin` begins to where `end`, or itself, ends."""
    first, last = begin.start_mark, (end or begin).end_mark
    return Place(first.line + 1, first.column + 1, last.line + 1, last.column + 1)
