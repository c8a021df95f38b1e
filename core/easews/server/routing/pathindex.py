"""The entries that may be responsible for a path, without a look at all others.

Exact paths are keys of a dict, and so are prefixes, by their length. Regular expressions are tried
one by one, as far as they stand in front of the first match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from operator import attrgetter
from typing import NamedTuple

from ...config.model import RuleSpec
from .entry import Entry
from .ipfilter import IpFilter
from .prefixes import Prefixes

_number = attrgetter("number")


class Rule(NamedTuple):
    """A rule of the config, its paths and its `ipFilter` compiled."""

    spec: RuleSpec
    entries: Sequence[Entry]
    filter: IpFilter | None


class PathIndex:
    """The entries of rules that hold for the same hosts.

    filters  the ipFilters of these rules, each once
    """

    __slots__ = ("_exact", "_prefixes", "_regexps", "filters")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._exact: dict[str, list[Entry]] = {}
        self._prefixes: Prefixes[list[Entry]] = Prefixes(list)
        self._regexps: list[Entry] = []
        self.filters: dict[IpFilter, None] = {}
        for rule in rules:
            if rule.filter is not None:
                self.filters[rule.filter] = None
            for entry in rule.entries:
                self._list_for(entry).append(entry)

    def _list_for(self, entry: Entry) -> list[Entry]:
        kind, text = entry.pattern
        if kind == "regexp":
            return self._regexps
        return self._exact.setdefault(text, []) if kind == "is" else self._prefixes.of(text)

    def found(self, path: str) -> list[list[Entry]]:
        """The entries that may match, in lists that are in written order."""
        found = self._prefixes.found(path) if self._prefixes else []
        if path in self._exact:
            found.append(self._exact[path])
        if self._regexps:
            found.append(self._regexps)
        return found


def candidates(indexes: Sequence[PathIndex], path: str) -> Iterable[Entry]:
    """The entries that may match, in written order; only their regular expression is not tried."""
    found: list[list[Entry]] = []
    for index in indexes:
        found += index.found(path)
    if len(found) > 1:
        return merge(*found, key=_number)
    return found[0] if found else ()
