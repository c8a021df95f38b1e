"""Which servers of a pool are well: rules over what was seen of them. No I/O.

Two things take a server out of a pool's choice. An active check asks it from time to time
(`Checkup`), and requests that fail eject it for a while (`Ejection`). `usable` says which servers
are left.

Times are seconds on one clock that only goes forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from ..causes import Cause

#: The share of its weight with which a server begins that is back.
SLOW_START_FROM = 0.1


@dataclass(slots=True, eq=False, weakref_slot=True)
class Checkup:
    """What the active checks of one server have found. It is up until they say otherwise.

    fails       checks in a row that have to fail before it is down
    passes      checks in a row that have to pass before it is up again
    up          whether it may be asked
    since       since when it is up or down; -inf as long as that has not changed
    last_error  why the last check that failed did; empty when none has
    due         when the next check is
    """

    fails: int = 1
    passes: int = 1
    up: bool = True
    since: float = -inf
    last_error: str = ""
    due: float = -inf
    _against: int = 0  # checks in a row that contradict `up`

    def passed(self, now: float) -> bool:
        """A check has passed. Whether the server is up again by that."""
        return self._seen(True, self.passes, now)

    def failed(self, cause: str, now: float) -> bool:
        """A check has failed. Whether the server is down by that."""
        self.last_error = cause
        return self._seen(False, self.fails, now)

    def _seen(self, up: bool, enough: int, now: float) -> bool:
        self._against = 0 if up is self.up else self._against + 1
        if self._against < enough:
            return False
        self.up, self.since, self._against = up, now, 0
        return True


@dataclass(frozen=True, slots=True)
class EjectionRule:
    """When a pool ejects a server, and for how long.

    failures   how many in a row eject it; 0 turns ejection off
    shortest   for how many seconds, the first time
    longest    for how many at most
    max_share  the percentage of the pool's servers that may be out at a time
    on         which failures count: `causes`
    """

    failures: int = 3
    shortest: float = 10.0
    longest: float = 300.0
    max_share: int = 50
    on: frozenset[Cause] = frozenset({"connect"})


@dataclass(slots=True, eq=False)
class Ejection:
    """What requests have found of one server.

    failures    how many have failed since the last one that did not
    since       when it was last ejected
    until       until when it is, or was; -inf as long as it never was
    last_error  why the last request failed
    times       how often it was ejected
    """

    failures: int = 0
    since: float = -inf
    until: float = -inf
    last_error: str = ""
    times: int = 0

    def failed(self, rule: EjectionRule, cause: str, now: float) -> bool:
        """A request has failed, for a reason that counts. Whether that has ejected the server.

        Its failures are still in a row when its time is over: the next one ejects it again.
        """
        self.last_error = cause
        if now < self.until:  # asked before it was ejected
            return False
        self.failures += 1
        if not 0 < rule.failures <= self.failures:
            return False
        self.since, self.until = now, now + self._length(rule, now)
        self.times += 1
        return True

    def succeeded(self, now: float) -> bool:
        """A request was answered. Whether the server is back by that."""
        self.failures = 0
        if now >= self.until:
            return False
        self.until = now
        return True

    def _length(self, rule: EjectionRule, now: float) -> float:
        """Twice as long as the last time, and half of that for each such time without any."""
        if self.until == -inf:
            return min(rule.shortest, rule.longest)
        last = self.until - self.since
        good = (now - self.until) // last if last else inf
        doubled: float = 2 * last * 0.5 ** min(good, 64)
        return min(max(doubled, rule.shortest), rule.longest)


class Condition(NamedTuple):
    """What is known of one server of a pool; `checkup` is None without active checks."""

    checkup: Checkup | None
    ejection: Ejection

    @property
    def up(self) -> bool:
        """Whether active checks let it be asked."""
        return self.checkup is None or self.checkup.up

    def ejected(self, now: float) -> bool:
        """Whether failed requests have taken it out."""
        return now < self.ejection.until

    def back_since(self, now: float) -> float:
        """Since when it is back; -inf when it was never away."""
        checked = -inf if self.checkup is None else self.checkup.since
        return max(checked, self.ejection.until if self.ejection.until <= now else -inf)


class Usable(NamedTuple):
    """The servers that a pool may choose.

    servers  their indexes
    until    when that changes by itself
    panic    whether these are all, because too few are well
    """

    servers: list[int]
    until: float
    panic: bool


def usable(conditions: Sequence[Condition], max_share: int, panic_below: int, now: float) -> Usable:
    """Which servers of a pool may be chosen.

    Those that were ejected first stay out; of the others as many come back as `max_share`, a
    percentage, demands. All come back where nobody else is up. With fewer than `panic_below` per
    cent left, all servers are used, well or not.
    """
    up = [index for index, condition in enumerate(conditions) if condition.up]
    ejected = [index for index in up if conditions[index].ejected(now)]
    until = min((conditions[index].ejection.until for index in ejected), default=inf)
    ejected.sort(key=lambda index: conditions[index].ejection.since)
    out = set(ejected[: _most_out(len(conditions), max_share)])
    if len(out) == len(up):
        out = set()
    left = [index for index in up if index not in out]
    if len(left) * 100 < panic_below * len(conditions):
        return Usable(list(range(len(conditions))), until, True)
    return Usable(left, until, False)


def _most_out(count: int, max_share: int) -> int:
    """At least one: 10 % of 5 servers would protect nobody."""
    return max(count * max_share // 100, 1)


def slow_start(since: float, over: float, now: float) -> float:
    """The share of its weight, up to 1, of a server that is back since `since`: it grows over
    `over` seconds.
    """
    if now - since >= over:
        return 1.0
    return SLOW_START_FROM + (1 - SLOW_START_FROM) * (now - since) / over
