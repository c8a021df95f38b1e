"""A coarse timer wheel: one entry a session, looked at again when its slot comes up.

Sessions have several deadlines that move all the time and hardly ever strike. So nothing is
moved here when a deadline moves away: when the slot comes up, the session says when it wants
to be looked at next.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """`wake` is the time of the slot that holds it (infinity: none); the wheel writes it."""

    wake: float


T = TypeVar("T", bound=Timed)


class Wheel(Generic[T]):
    """Slots of `resolution` seconds. Times are readings of one monotonic clock."""

    def __init__(self, now: float, resolution: float) -> None:
        self.resolution = resolution
        self._slots: dict[int, list[T]] = {}
        self._last = int(now / resolution)

    def __bool__(self) -> bool:
        return bool(self._slots)

    def schedule(self, item: T, when: float) -> None:
        """Have `item` looked at soon after `when`, unless it will be before that anyway."""
        if when < item.wake:
            item.wake = when
            slot = max(int(when / self.resolution), self._last) + 1
            self._slots.setdefault(slot, []).append(item)

    def due(self, now: float) -> list[T]:
        """Take out what is to be looked at now. An item may have been scheduled twice; the
        entry that it no longer counts on is dropped.
        """
        last, self._last = self._last, int(now / self.resolution)
        slots: Sequence[int] = range(last + 1, self._last + 1)
        if len(slots) > len(self._slots):
            slots = sorted(slot for slot in self._slots if slot <= self._last)
        items: list[T] = []
        for slot in slots:
            for item in self._slots.pop(slot, ()):
                if item.wake <= now:
                    item.wake = inf
                    items.append(item)
        return items
