"""Whatever happens to a pool: its counts are right, its limits hold, and no server is forgotten."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import count
from math import inf
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from easews import Address, ConnectError, Headers, Request
from easews.sessions import Opening
from easews.testing import OpenSession
from easews.upstream import Attempt, HealthRules, Pool, Queue, Server
from easews.upstream.balance import policy_for
from easews.upstream.balance.hashing import Bounded
from easews.upstream.balance.least import Least
from easews.upstream.balance.rebalancing import Rebalance
from easews.upstream.balance.rotation import Rotation
from easews.upstream.causes import causes
from easews.upstream.health.breaker import Breaker, BreakerRule
from easews.upstream.health.checks import Check, TcpCheck
from easews.upstream.health.rules import EjectionRule
from easews.upstream.queueing import Waiting
from easews.upstream.servers import Member, Standing, standing_of

NAMES = "abcde"
CHECK = Check(TcpCheck(), fails=1)
BREAKER = BreakerRule(50, 4, 2, 15.0, 2, causes(["connect", "5xx"]))
POLICIES: list[dict[str, Any]] = [
    *({"policy": name} for name in ("roundRobin", "random", "weightedRandom", "ipHash")),
    *({"policy": name} for name in ("leastConnections", "powerOfTwo", "consistentHash")),
    {"policy": "headerHash", "headerHashKey": "X-User"},
]

_numbers = count()


def of_user(user: int) -> Request:
    headers = Headers([("X-User", f"u{user}")])
    return Request("GET", "/", headers, client=Address(f"10.0.0.{user}"))


class Waiter:
    """Waits in the line of a pool, and looks at the clock as `first_answer` does."""

    def __init__(self, pool: Pool, waiting: Waiting) -> None:
        self.pool, self.waiting = pool, waiting
        self.sleeps = 0.0  # for so many seconds
        waiting.wake = self.wake

    def wake(self) -> None:
        self.sleeps = 0.0

    def look(self) -> None:
        self.pool.refresh()
        self.sleeps = self.pool.due_in

    def leave(self) -> None:
        self.pool.line.leave(self.waiting)


def own(pool: Pool) -> dict[str, tuple[int, Breaker | None]]:
    """What a server has in a pool only, by its name: the set of its sessions, its breaker."""
    return {it.server.host[0]: (id(it.sessions), it.breaker) for it in pool.members}


class Changes(RuleBasedStateMachine):
    """Servers come, go and get other weights; sessions open and end; checks and requests fail.

    Two pools share the servers, as those of a filter and of its successor do. What is drawn must
    not depend on the servers that lots have chosen, so a rule does nothing where it does not apply.
    """

    @initialize(
        policy=st.sampled_from(POLICIES),
        limit=st.sampled_from([inf, 1, 2]),
        failures=st.sampled_from([1, 3]),
        share=st.sampled_from([10, 50, 100]),
        breaker=st.sampled_from([None, BREAKER]),
        slow_start=st.sampled_from([0.0, 20.0]),
    )
    def begins(
        self,
        policy: dict[str, Any],
        limit: float,
        failures: int,
        share: int,
        breaker: BreakerRule | None,
        slow_start: float,
    ) -> None:
        self.now, self.number = 1000.0, next(_numbers)  # what is known of a server outlives a test
        self.policy, self.limit, self.breaker = policy, limit, breaker
        ejection = EjectionRule(failures, max_share=share)
        self.health_rules = HealthRules(ejection, CHECK, slow_start=slow_start, breaker=breaker)
        self.weights = dict.fromkeys("abc", 1)
        self.open: list[Attempt] = []
        self.waiting: list[Waiter] = []
        self.pools = [self.new_pool(), self.new_pool()]

    def new_pool(self) -> Pool:
        pool = Pool(
            [],
            policy_for(self.policy),
            health=self.health_rules,
            queue=Queue(3, 5),
            rebalance=Rebalance(60),
        )
        pool._availability._clock = lambda: self.now
        pool.replace(self.servers())
        return pool

    def servers(self) -> list[Server]:
        made = [
            Server.at(f"ws://{name}{self.number}", weight=weight, limit=self.limit)
            for name, weight in self.weights.items()
        ]
        self.standings = [standing_of(server) for server in made]
        for standing in self.standings:
            standing.known_since = min(standing.known_since, self.now)
        return made

    def swap(self) -> None:
        servers = self.servers()
        for pool in self.pools:
            before = own(pool)
            pool.replace(servers)
            after = own(pool)
            assert all(after[name] == before[name] for name in after.keys() & before.keys())
        self.fetch()

    def fetch(self) -> None:
        """Those who wait no longer have a session now; the others look when it is time."""
        while awake := [one for one in self.waiting if one.sleeps <= 0]:
            for waiter in awake:
                waiter.look()
        for one in self.waiting:
            if one.waiting.attempt is not None:
                self.begin(one.waiting.attempt)
        self.waiting = [one for one in self.waiting if one.waiting.attempt is None]

    def begin(self, attempt: Attempt) -> None:
        attempt.opened(OpenSession(Opening("")))
        self.open.append(attempt)

    @rule(name=st.sampled_from(NAMES), weight=st.integers(0, 4))
    def gets_weight(self, name: str, weight: int) -> None:
        self.weights[name] = weight
        self.swap()

    @rule(name=st.sampled_from(NAMES))
    def is_removed(self, name: str) -> None:
        self.weights.pop(name, None)
        self.swap()

    @rule()
    def is_reloaded(self) -> None:
        if not self.waiting:
            older, self.pools[0] = self.pools[0], self.new_pool()
            self.pools[0].inherit(older)
            assert own(self.pools[0]) == own(older)

    @rule(number=st.integers(0, 1), user=st.integers(0, 20), times=st.sampled_from([1, 8]))
    def opens(self, number: int, user: int, times: int) -> None:
        for _ in range(times):
            self.opens_one(self.pools[number], of_user(user))

    def opens_one(self, pool: Pool, request: Request) -> None:
        if (attempt := pool.next(request)) is not None:
            self.begin(attempt)
        elif pool.full and (waiting := pool.line.join(request, lambda: None)) is not None:
            self.waiting.append(Waiter(pool, waiting))
        self.fetch()

    @rule(which=st.integers(0, 99), how=st.sampled_from(["refused", "left", "answered", "500"]))
    def ends(self, which: int, how: str) -> None:
        if not self.open:
            return
        attempt = self.open.pop(which % len(self.open))
        if how == "refused":
            attempt.failed(ConnectError("refused"))
        elif how != "left":
            attempt.succeeded(500 if how == "500" else 101)
        attempt.over()
        self.fetch()

    @rule()
    def leaves_the_queue(self) -> None:
        if self.waiting:
            self.waiting.pop().leave()

    @rule(seconds=st.sampled_from([1, 16, 400]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        for waiter in self.waiting:
            waiter.sleeps -= seconds
        self.fetch()

    @rule(name=st.sampled_from(NAMES), passes=st.booleans())
    def is_checked(self, name: str, passes: bool) -> None:
        for member in self.pools[0].members:
            if member.server.host[0] == name and member.checkup is not None:
                if passes:
                    member.checkup.passed(self.now)
                else:
                    member.checkup.failed("refused", self.now)
                member.standing.tell()
        self.fetch()

    @invariant()
    def counts_equal_reality_and_limits_hold(self) -> None:
        real = Counter(attempt.server.url for attempt in self.open)
        for pool in self.pools:
            assert all(it.active == real[url] for url, it in pool.standings.items())
            assert all(it.active <= self.limit for it in pool.standings.values())
            if isinstance(pool._policy, Bounded):
                counted = {member.standing for member in pool.members if member.usable}
                assert pool._only or pool._policy._active == sum(it.active for it in counted)

    @invariant()
    def members_have_the_weights_of_now_and_no_session_that_has_ended(self) -> None:
        still_open = {attempt._session for attempt in self.open}
        for pool in self.pools:
            weights = {it.server.host[0]: it.server.weight for it in pool.members}
            assert weights == {name: weight for name, weight in self.weights.items() if weight}
            assert all(it.sessions is not None and it.sessions <= still_open for it in pool.members)

    @invariant()
    def ejection_empties_no_pool_and_who_is_free_is_found(self) -> None:
        for pool in self.pools:
            waiters = [one for one in self.waiting if one.pool is pool]
            attempt = pool.next(of_user(0))
            served = [one for one in waiters if one.waiting.attempt is not None]
            assert not served, "its server was free before somebody asked"
            assert all(one.sleeps <= pool.due_in for one in waiters), "it sleeps too long"
            free = [one for one in pool.members if one.usable and not one.full]
            assert attempt is not None or not free
            if attempt is not None:
                attempt.over()
                self.fetch()
            up = any(one.checkup is None or one.checkup.up for one in pool.members)
            assert self.breaker or not up or any(one.usable for one in pool.members)
            assert not (waiters and free and attempt is None)

    def teardown(self) -> None:
        for waiter in self.waiting:
            waiter.leave()
        for attempt in self.open:
            attempt.over()
        for name in self.weights:
            self.is_checked(name, True)
        for pool in self.pools:
            assert not pool.line._waiting
            assert self.found_in(pool) == {name for name in self.weights if self.weights[name]}
            assert not any(standing.active for standing in pool.standings.values())

    def found_in(self, pool: Pool) -> set[str]:
        """The servers that get a session, once all have been well for long."""
        found: set[str] = set()
        for _ in range(12):
            self.now += 400
            attempts = [pool.next(of_user(user)) for user in range(200)]
            for attempt in attempts:
                if attempt is not None:
                    found.add(attempt.server.host[0])
                    attempt.succeeded(101)
                    attempt.over()
        return found


test_counts_are_right_and_nobody_is_forgotten = Changes.TestCase


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Its thousands of ejections are not news."""
    with caplog.at_level(logging.CRITICAL, "easews.upstream"):
        yield


def test_a_server_that_comes_back_while_a_session_ends_takes_who_waits() -> None:
    rules, name = HealthRules(check=CHECK), next(_numbers)
    servers = [Server.at(f"ws://{letter}{name}", limit=1) for letter in "ab"]

    def new_pool() -> Pool:
        return Pool(servers, Least(), health=rules, queue=Queue(2, 5))

    older = new_pool()
    sessions = [attempt for _ in servers if (attempt := older.next(of_user(0)))]
    first = older.members[0]
    assert first.checkup is not None
    first.checkup.failed("refused", 1.0)
    newer = new_pool()  # which has never seen it up
    waiting = [newer.line.join(of_user(user), lambda: None) for user in range(2)]
    first.checkup.passed(2.0)
    newer._availability.expire()
    for session in sessions:
        session.over()
    assert all(one is not None and one.attempt is not None for one in waiting)


def test_a_change_that_is_told_late_counts_once() -> None:
    policy = Bounded(lambda request: "key", Rotation())
    members = [Member(Server.at(f"ws://{name}"), Standing(active=1), 1) for name in "ab"]
    policy.update(members)
    members[0].standing.active = 0
    policy.update(members)
    policy.moved(members[0].standing, -1)
    assert policy._active == 1
