"""How much each key has sent lately: rates of two kinds, and as many keys as fit. Pure.

A meter remembers until when what has come is paid for by the rate (the generic cell rate
algorithm): a number for each rate, which stays meaningful when the rate changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """What may come.

    messages  messages a second; None is any number
    bytes     bytes a second; None is any number
    burst     how many seconds' worth may come at once; one message always may
    """

    messages: float | None
    bytes: float | None
    burst: float

    def costs(self, size: int) -> tuple[float, float]:
        """The seconds that a message of `size` bytes takes of each rate."""
        return (
            1 / self.messages if self.messages else 0.0,
            size / self.bytes if self.bytes else 0.0,
        )


class Meters:
    """A meter for each key, of which those that were used last are kept.

    most  how many; None keeps all
    """

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._paid: OrderedDict[Hashable, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paid)

    def wait(self, key: Hashable, costs: Sequence[float], burst: float, now: float) -> float:
        """Seconds until a message with these costs may pass; 0 when it may now."""
        paid = self._paid.get(key)
        if paid is None:
            return 0.0
        self._paid.move_to_end(key)  # whoever sends is remembered, also when nothing passes
        waits = [
            min(until - now, until + cost - now - burst)  # it never waits for more than all
            for until, cost in zip(paid, costs, strict=True)
            if cost
        ]
        return max(0.0, *waits) if waits else 0.0

    def charge(self, key: Hashable, costs: Sequence[float], now: float) -> None:
        """A message passes, now or when it has waited."""
        paid = self._paid.setdefault(key, [now] * len(costs))
        for number, cost in enumerate(costs):
            paid[number] = max(paid[number], now) + cost
        if self.most is not None:
            while len(self._paid) > self.most:
                self._paid.popitem(last=False)

    def refund(self, key: Hashable, costs: Sequence[float]) -> None:
        """A message that was waiting does not pass after all."""
        if paid := self._paid.get(key):
            for number, cost in enumerate(costs):
                paid[number] -= cost

    def forget(self, key: Hashable) -> None:
        """Nothing will come by this key any more."""
        self._paid.pop(key, None)
