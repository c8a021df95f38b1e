"""How often values were within which bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from math import inf

#: Upper bounds in seconds, for what a client waits for.
WAITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_HOUR, _DAY = 3600.0, 86400.0
#: For sessions, which last from a second to weeks.
LENGTHS = (
    *(1.0, 10.0, 60.0, 300.0, 1800.0, _HOUR, 4 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 7 * _DAY, 30 * _DAY),
)
#: For the event loop, which should never be late by much.
LAGS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Histogram:
    """Values, counted by `bounds`, each of which is the largest value of its bucket.

    total  the sum of the values
    """

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds: Sequence[float] = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total: float = 0.0

    def add(self, value: float) -> None:
        """Count one more value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> Iterator[tuple[float, int]]:
        """Each bound, the last one infinite, and how many values were not above it."""
        count = 0
        for bound, more in zip((*self.bounds, inf), self._counts, strict=True):
            count += more
            yield bound, count
