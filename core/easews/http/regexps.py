"""Regular expressions for what clients send: RE2, which takes linear time whatever that is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import re2  # type: ignore[import-untyped]


def compile_regexp(pattern: str, *, case_sensitive: bool = True) -> Any:
    """`pattern`, which is known to be good, with a dot that is any character."""
    return re2.compile(pattern, _options(case_sensitive))


class RegexpSet:
    """Many patterns, tried at once."""

    def __init__(self, patterns: Iterable[str], *, case_sensitive: bool = True) -> None:
        self._patterns = [*dict.fromkeys(patterns)]
        self._set: Any = re2.Set.SearchSet(_options(case_sensitive))
        for pattern in self._patterns:
            self._set.Add(pattern)
        if self._patterns:
            self._set.Compile()

    def found(self, text: str) -> list[str]:
        """The patterns that match in `text`. None of them when they need too much memory."""
        if not self._patterns:
            return []
        return [self._patterns[number] for number in self._set.Match(text) or ()]


def _options(case_sensitive: bool) -> Any:
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.dot_nl = True  # or `%0A` would slip past `.*`
    options.log_errors = False  # re2 would write to stderr by itself
    return options
