"""Which sessions are closed after a scale-out, so that new servers get their share.   (pure)

A session stays at its server for as long as it is open. So a server that is new gets new sessions
only, and it takes the length of a session until the load is even. Closing some sessions of the
fullest servers lets their clients come back sooner, and to the new one.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from ...filters import SpecFault
from .naming import LEADS_BACK

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rebalance:
    """How sessions are closed after a scale-out.

    per_minute  at most so many of a pool
    above       only while a server has more than its fair share by this part of it, such as 0.2
    """

    per_minute: int
    above: float = 0.2

    @classmethod
    def from_spec(cls, spec: Spec) -> Rebalance:
        """From a pool's `rebalance`."""
        return cls(spec["perMinute"], spec["above"] / 100)

    def pause(self, chance: float) -> float:
        """Seconds from one Close to the next; `chance` is from 0 to 1."""
        return 60 / self.per_minute * (1 + chance / 2)


class Load(NamedTuple):
    """The sessions of a server, and its share."""

    active: int
    weight: float


def fair_shares(loads: Sequence[Load]) -> list[float]:
    """How many sessions each server would have if they were spread by weight."""
    total, weights = sum(load.active for load in loads), sum(load.weight for load in loads)
    return [total * load.weight / weights for load in loads]


class Shedding:
    """Says at which server a session is to be closed. After a scale-out only.

    No more sessions are closed than were above the fair shares when it began, wherever their
    clients come back to. So it always comes to an end.
    """

    def __init__(self, rule: Rebalance) -> None:
        self._rule = rule
        self._servers: frozenset[Hashable] = frozenset()
        self._left = 0

    @property
    def left(self) -> int:
        """How many sessions are still to be closed, at most."""
        return self._left

    def inherit(self, servers: Collection[Hashable], left: int) -> None:
        """Begin where another one was: with its servers, and what it had left to close."""
        self._servers, self._left = frozenset(servers), left

    def update(self, servers: Collection[Hashable], loads: Sequence[Load]) -> bool:
        """These are the servers that may be chosen now, with their loads.

        A server that was not there the last time makes it a scale-out, unless none was. Returns
        whether sessions are to be closed from now on, because it is one.
        """
        before, self._servers = self._servers, frozenset(servers)
        if not before or not self._servers - before:
            return False
        self._left = self._excess(loads)
        return self._left > 0

    def _excess(self, loads: Sequence[Load]) -> int:
        shares = fair_shares(loads)
        limits = [share * (1 + self._rule.above) for share in shares]
        if not any(load.active > limit for load, limit in zip(loads, limits, strict=True)):
            return 0
        return sum(
            max(load.active - ceil(share), 0) for load, share in zip(loads, shares, strict=True)
        )

    def next(self, loads: Sequence[Load]) -> int | None:
        """The index of the fullest server, if one of its sessions is to be closed now."""
        if not self._left or not loads:
            return None
        shares = fair_shares(loads)
        fullest = max(range(len(loads)), key=lambda n: loads[n].active / loads[n].weight)
        if loads[fullest].active <= ceil(shares[fullest]):
            self._left = 0
            return None
        self._left -= 1
        return fullest


def rebalance_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of a pool's `rebalance` that its schema cannot express."""
    if "rebalance" not in pool:
        return
    balance = pool["loadBalance"]
    policy = balance.get("policy", "")
    why = f"`{policy}`" if policy in LEADS_BACK else "stickySession"
    if policy in LEADS_BACK or "stickySession" in balance:
        yield SpecFault(
            (*at, "rebalance"),
            f"with {why} the clients come back to the servers that they had",
            "leave it out, or use another policy such as leastConnections",
        )
