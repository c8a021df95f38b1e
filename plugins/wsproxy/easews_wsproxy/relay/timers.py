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
    """What the wheel writes on an item: when it is due (infinity: it is not in the wheel), and
    the slot that holds it.
    """

    wake: float
    slot: int


T = TypeVar("T", bound=Timed)


class Wheel(Generic[T]):
    """Slots of `resolution` seconds. Times are readings of one monotonic clock."""

    def __init__(self, now: float, resolution: float) -> None:
        self.resolution = resolution
        self._slots: dict[int, dict[T, None]] = {}
        self._last = int(now / resolution)

    def __bool__(self) -> bool:
        return bool(self._slots)

    def schedule(self, item: T, when: float) -> None:
        """Have `item` looked at soon after `when`, unless it will be before that anyway."""
        if when < item.wake:
            self.forget(item)
            item.wake = when
            item.slot = max(int(when / self.resolution), self._last) + 1
            self._slots.setdefault(item.slot, {})[item] = None

    def forget(self, item: T) -> None:
        """Do not look at `item`, nor keep it alive."""
        if item.wake == inf:
            return
        item.wake = inf
        items = self._slots[item.slot]
        del items[item]
        if not items:
            del self._slots[item.slot]

    def due(self, now: float) -> list[T]:
        """Take out what is to be looked at now."""
        last, self._last = self._last, int(now / self.resolution)
        slots: Sequence[int] = range(last + 1, self._last + 1)
        if len(slots) > len(self._slots):
            slots = sorted(slot for slot in self._slots if slot <= self._last)
        items = [item for slot in slots for item in self._slots.pop(slot, ())]
        for item in items:
            item.wake = inf
        return items
