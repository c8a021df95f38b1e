"""What is counted for each route of a server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
#: The name of a server, and a route: a path as in its config, empty when a request had none.
Way = tuple[str, str]

#: How many routes are still told of that no config has any more. Reloads never end, memory does.
MOST_GONE = 100


class ByWay(Generic[T]):
    """Counts of `make`, one for each way that was taken."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._counts: dict[Way, T] = {}

    def __getitem__(self, way: Way) -> T:
        counts = self._counts.get(way)
        if counts is None:
            counts = self._counts[way] = self._make()
        return counts

    def __iter__(self) -> Iterator[tuple[Way, T]]:
        return iter(list(self._counts.items()))

    def forget(self, served: Collection[Way]) -> None:
        """Only these are served from now on: forget others, the oldest first, if there are many."""
        gone = [way for way in self._counts if way not in served]
        for way in gone[:-MOST_GONE]:
            del self._counts[way]
