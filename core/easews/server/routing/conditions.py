"""What a path asks of headers and queries: one of its conditions, or all of them.

A value that is not there counts as empty, and of several the first one counts, as in Easegress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...config.model import Condition
from ...http import Headers
from ...http.regexps import compile_regexp
from .refusals import Failure

Test = Callable[[str], Any]


class Conditions:
    """`headers` or `queries` of a path. `failure` is what is told of them when they do not hold."""

    __slots__ = ("_match_all", "_tests", "failure")

    def __init__(self, noun: str, wanted: Sequence[Condition], match_all: bool) -> None:
        self._tests = [(it.key, test) for it in wanted for test in _tests(it)]
        self._match_all = match_all
        self.failure: Failure = Failure(400, tuple(f"{noun} {it.key}" for it in wanted))

    def hold(self, value_of: Callable[[str], str]) -> bool:
        """Whether they hold for a request with these values."""
        found = (test(value_of(key)) for key, test in self._tests)
        return all(found) if self._match_all else any(found)


def conditions(noun: str, wanted: Sequence[Condition], match_all: bool) -> Conditions | None:
    """None when nothing is asked for. With `match_all` one of several is not enough."""
    return Conditions(noun, wanted, match_all) if wanted else None


def texts_of(headers: Headers) -> Callable[[str], str]:
    """The value of a header as a config would have it: UTF-8, and U+FFFD for what is none."""

    def text_of(name: str) -> str:
        value = headers.get(name)
        return value if value.isascii() else value.encode("latin-1").decode("utf-8", "replace")

    return text_of


def _tests(condition: Condition) -> Iterator[Test]:
    if condition.values:
        yield frozenset(condition.values).__contains__
    if condition.regexp is not None:
        yield compile_regexp(condition.regexp).search
