"""The rules that hold for a host, without a look at all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...config.patterns import EVERYTHING, Pattern, host_patterns
from ...http.regexps import compile_regexp
from .pathindex import PathIndex, Rule
from .prefixes import Prefixes


class HostIndex:
    """The indexes of paths, by host. Hosts that the same rules name share one.

    by_host  whether it matters which host is asked for
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._any: list[PathIndex] = []
        self._exact: dict[str, list[PathIndex]] = {}
        self._beginnings: Prefixes[list[PathIndex]] = Prefixes(list)
        self._endings: Prefixes[list[PathIndex]] = Prefixes(list)
        self._regexps: list[tuple[Any, PathIndex]] = []
        indexes: dict[tuple[int, ...], PathIndex] = {}
        for pattern, numbers in _rules_by_pattern(rules).items():
            if numbers not in indexes:
                indexes[numbers] = PathIndex(rules[number] for number in numbers)
            self._add(pattern, indexes[numbers])
        self._exact = {host: [*found, *self._any] for host, found in self._exact.items()}
        self._patterns = bool(self._beginnings or self._endings or self._regexps)
        self.by_host: bool = self._patterns or bool(self._exact)

    def _add(self, pattern: Pattern, index: PathIndex) -> None:
        kind, text = pattern
        if pattern == EVERYTHING:
            self._any.append(index)
        elif kind == "is":
            self._exact[text] = [index]
        elif kind == "begins":
            self._beginnings.of(text).append(index)
        elif kind == "ends":
            self._endings.of(text[::-1]).append(index)
        else:
            self._regexps.append((compile_regexp(text, case_sensitive=False), index))

    def found(self, host: str) -> list[PathIndex]:
        """The indexes for this host, as `host_name` gives it."""
        found = self._exact.get(host, self._any)
        return [*found, *self._by_pattern(host)] if self._patterns else found

    def _by_pattern(self, host: str) -> Iterator[PathIndex]:
        for several in self._beginnings.found(host):
            yield from several
        for several in self._endings.found(host[::-1]):
            yield from several
        yield from (index for regexp, index in self._regexps if regexp.search(host))


def _rules_by_pattern(rules: Sequence[Rule]) -> Mapping[Pattern, tuple[int, ...]]:
    numbers: dict[Pattern, dict[int, None]] = {}
    for number, rule in enumerate(rules):
        for pattern in host_patterns(rule.spec):
            numbers.setdefault(pattern, {})[number] = None
    return {pattern: tuple(found) for pattern, found in numbers.items()}
