"""How evenly sessions are spread in the hours after a scale-out, on a virtual clock.

Sessions come at random times, by a Poisson process, and last for times of a log-normal
distribution. Three servers have them, until they are as many as they stay; then a fourth server
comes. Pools, policies and the rule of `rebalance` are easews' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import exp
from random import Random

from easews import Address, Headers, Request
from easews.upstream import Attempt, Pool, Server
from easews.upstream.balance import Policy, policy_for
from easews.upstream.balance.draws import Draw, TwoChoices
from easews.upstream.balance.policy import Skip, usable
from easews.upstream.balance.rebalancing import Load, Rebalance, Shedding
from easews.upstream.servers import Member

MINUTE = 60.0
HOUR = 60 * MINUTE
SERVERS = 3
SESSIONS = 3_000  # that are open at a time, on average
MEDIAN = 20 * MINUTE  # of a session's length
SIGMA = 1.2  # of its logarithm: one session in twenty is longer than two and a half hours
USERS = 5_000
BEFORE = 12 * HOUR  # until the number of sessions stays what it is
AFTER = 8 * HOUR
#: A client whose session was closed comes back after this time, on average.
BACK = 5.0


class HaproxyLeastconn:
    """A model of HAProxy's `leastconn`: the server with the fewest connections by its weight.

    Equals take turns. HAProxy keeps its servers in a tree by served * scale / weight, in which one
    moves whenever a connection begins or ends (`fwlc_get_next_server`).
    """

    def __init__(self) -> None:
        self._members: list[Member] = []

    def update(self, members: Sequence[Member]) -> None:
        self._members = usable(members)

    def choose(self, request: Request, skip: Skip | None = None) -> Member | None:
        chosen = min(self._members, key=lambda member: member.standing.active / member.weight)
        self._members.remove(chosen)
        self._members.append(chosen)
        return chosen


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated: a policy, made with what it may draw lots from, and how many sessions are
    shed in a minute (0 for none)."""

    name: str
    policy: Callable[[Random], Policy]
    per_minute: int = 0


def _named(policy: str) -> Callable[[Random], Policy]:
    return lambda _: policy_for({"policy": policy})


def _random(random: Random) -> Policy:
    return Draw(weighted=False, random=random)


CASES = (
    Case("roundRobin", _named("roundRobin")),
    Case("random", _random),
    Case("powerOfTwo", TwoChoices),
    Case("leastConnections", _named("leastConnections")),
    Case("ipHash", _named("ipHash")),
    Case("consistentHash", _named("consistentHash")),
    Case("HAProxy's leastconn, a model", lambda _: HaproxyLeastconn()),
    Case("roundRobin, 20 shed a minute", _named("roundRobin"), 20),
    Case("random, 20 shed a minute", _random, 20),
    Case("powerOfTwo, 20 shed a minute", TwoChoices, 20),
    Case("leastConnections, 20 shed a minute", _named("leastConnections"), 20),
)


@dataclass(slots=True)
class Run:
    """What became of it.

    spread  each minute after the scale-out, by how much of its fair share the fullest server is
            above it
    shed    how many sessions were closed
    """

    spread: list[float] = field(default_factory=list)
    shed: int = 0


class Simulation:
    """One case, from the first session to the end."""

    def __init__(self, case: Case, seed: int = 1) -> None:
        self._random = Random(seed)
        self._servers = [Server.at(f"ws://{seed}-{number}") for number in range(SERVERS + 1)]
        self._pool = Pool(self._servers[:SERVERS], case.policy(Random(f"policy {seed}")))
        self._ends: list[tuple[float, int]] = []
        self._open: dict[int, Attempt] = {}
        self._at: dict[Server, dict[int, float]] = {server: {} for server in self._servers}
        self._number = 0
        rule = Rebalance(case.per_minute) if case.per_minute else None
        self._shedding = Shedding(rule) if rule else None
        self._per_minute = case.per_minute
        self.run = Run()

    def simulate(self) -> Run:
        now, comes = -BEFORE, 0.0
        for minute in self._minutes():
            while (comes := comes or now + self._gap()) < minute:
                self._end_until(comes)
                self._begin(comes, self._length())
                now, comes = comes, 0.0
            self._end_until(minute)
            self._each_minute(minute)
        for attempt in self._open.values():
            attempt.over()
        return self.run

    def _minutes(self) -> Iterator[float]:
        for number in range(int((BEFORE + AFTER) / MINUTE) + 1):
            yield -BEFORE + number * MINUTE

    def _each_minute(self, minute: float) -> None:
        if minute == 0:
            self._update_shedding()
            self._pool.replace(self._servers)
            self._update_shedding()
        if minute >= 0:
            counts = [len(sessions) for sessions in self._at.values()]
            self.run.spread.append(max(counts) * len(counts) / sum(counts) - 1)
            self._shed(minute)

    def _update_shedding(self) -> None:
        if self._shedding is not None:
            members = self._pool.members
            self._shedding.update([member.server for member in members], self._loads())

    def _loads(self) -> list[Load]:
        return [Load(member.standing.active, member.weight) for member in self._pool.members]

    def _shed(self, minute: float) -> None:
        """Close as many sessions as a minute may have; their clients come back in a moment."""
        if self._shedding is None:
            return
        for _ in range(self._per_minute):
            index = self._shedding.next(self._loads())
            if index is None:
                return
            sessions = self._at[self._pool.members[index].server]
            number = next(iter(sessions))
            left = sessions[number] - minute
            self._end(number)
            self.run.shed += 1
            self._begin(minute + self._random.expovariate(1 / BACK), max(left, 1.0))

    def _gap(self) -> float:
        mean = MEDIAN * exp(SIGMA**2 / 2)
        return self._random.expovariate(SESSIONS / mean)

    def _length(self) -> float:
        return MEDIAN * exp(self._random.gauss(0, SIGMA))

    def _begin(self, now: float, length: float) -> None:
        user = self._random.randrange(USERS)
        client = Address(f"10.0.{user // 250}.{user % 250}")
        attempt = self._pool.next(Request("GET", "/", Headers(), client=client))
        assert attempt is not None
        self._number += 1
        self._open[self._number] = attempt
        self._at[attempt.server][self._number] = now + length
        heappush(self._ends, (now + length, self._number))

    def _end_until(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, number = heappop(self._ends)
            if number in self._open:
                self._end(number)

    def _end(self, number: int) -> None:
        attempt = self._open.pop(number)
        del self._at[attempt.server][number]
        attempt.over()
