"""What a path asks of headers and queries: one of its conditions, or all of them.

A value that is not there counts as empty, and of several the first one counts, as in Easegress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...config.model import Condition
from .regexps import compiled

Test = Callable[[str], Any]


class Conditions:
    """`headers` or `queries` of a path. `match_all` is whether one of them is not enough."""

    __slots__ = ("_match_all", "_tests", "keys")

    def __init__(self, conditions: Sequence[Condition], match_all: bool) -> None:
        self.keys = tuple(dict.fromkeys(it.key for it in conditions))
        self._tests = [(it.key, test) for it in conditions for test in _tests(it)]
        self._match_all = match_all

    def hold(self, value_of: Callable[[str], str]) -> bool:
        """Whether they hold for a request with these values."""
        found = (test(value_of(key)) for key, test in self._tests)
        return all(found) if self._match_all else any(found)


def _tests(condition: Condition) -> Iterator[Test]:
    if condition.values:
        yield frozenset(condition.values).__contains__
    if condition.regexp is not None:
        yield compiled(condition.regexp).search
