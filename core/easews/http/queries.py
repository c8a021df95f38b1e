"""Queries for matching: names and values, percent-decoded once, `+` as a space."""

from __future__ import annotations

from urllib.parse import parse_qsl


class Queries:
    """The parameters of a query, which is parsed when the first one is asked for."""

    __slots__ = ("_first", "_query")

    def __init__(self, query: str) -> None:
        self._query = query
        self._first: dict[str, str] | None = None

    def get(self, name: str) -> str:
        """The first value of `name`; empty when there is none.

        Bytes that are not UTF-8 become U+FFFD.
        """
        if self._first is None:
            pairs = parse_qsl(self._query, keep_blank_values=True)
            self._first = dict(reversed(pairs))
        return self._first.get(name, "")
