"""Values by prefix: a dict for each length, so that a lookup tries lengths and not prefixes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Prefixes(Generic[V]):
    """`make` makes the value of a prefix that has none yet."""

    __slots__ = ("_by_length", "_make")

    def __init__(self, make: Callable[[], V]) -> None:
        self._by_length: dict[int, dict[str, V]] = {}
        self._make = make

    def __bool__(self) -> bool:
        return bool(self._by_length)

    def of(self, prefix: str) -> V:
        """The value of this prefix."""
        values = self._by_length.setdefault(len(prefix), {})
        if prefix not in values:
            values[prefix] = self._make()
        return values[prefix]

    def found(self, text: str) -> list[V]:
        """The values of all prefixes that `text` begins with."""
        return [
            values[prefix]
            for length, values in self._by_length.items()
            if (prefix := text[:length]) in values
        ]
