"""A pool follows that of the config before: turns, circuit breakers and sessions go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

import anyio
import pytest
from anyio.lowlevel import checkpoint

from easews import ConnectError, Request
from easews.sessions import Opening
from easews.testing import OpenSession
from easews.upstream import Attempt, HealthRules, Pool, Pools, Server, servers
from easews.upstream.balance import Policy, policy_for
from easews.upstream.balance.rebalancing import Rebalance
from easews.upstream.balance.sticky import Sticky, StickyCookie
from easews.upstream.health.breaker import BreakerRule

REQUEST = Request("GET", "/")
QUICK = Rebalance(per_minute=60_000)
RULE = BreakerRule(50, 4, 1, 0.0, 1, frozenset({"connect"}))
LASTING = BreakerRule(50, 4, 1, 1e6, 1, frozenset({"connect"}))
PATIENCE = 30


@pytest.fixture(autouse=True)
def _unknown_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have found of servers of these names holds for the whole process."""
    monkeypatch.setattr(servers, "_standings", WeakValueDictionary())


def pool_of(names: str, **settings: Any) -> Pool:
    return Pool([Server.at(f"ws://{name}") for name in names], **settings)


def after(previous: Pool, names: str, **settings: Any) -> Pool:
    """A pool of the next config."""
    pool = pool_of(names, **settings)
    pool.inherit(previous)
    return pool


def opened(pool: Pool, count: int) -> list[tuple[Attempt, OpenSession]]:
    found = []
    for number in range(count):
        attempt = pool.next(REQUEST)
        assert attempt is not None
        found.append((attempt, OpenSession(Opening(f"{number}"))))
        attempt.opened(found[-1][1])
    return found


def chosen(pool: Pool, times: int) -> str:
    return "".join(attempt.server.host for attempt, _ in opened(pool, times))


def closes(sessions: list[tuple[Attempt, OpenSession]]) -> str:
    """The servers at which sessions were closed, and each must be closed once only."""
    closed = [(attempt, session) for attempt, session in sessions if session.closes]
    assert all(session.closes == [(1012, "there are new servers")] for _, session in closed)
    return "".join(sorted(attempt.server.host for attempt, _ in closed))


COOKIE = {"lbCookieName": "EG", "lbCookieExpire": 0, "path": "/", "httpOnly": True}
POLICIES: list[Callable[[], Policy]] = [
    lambda: policy_for({}),
    lambda: policy_for({"policy": "headerHash", "headerHashKey": "X-User"}),
    lambda: Sticky(StickyCookie({**COOKIE, "sameSite": "Lax"}), policy_for({})),
]


@pytest.mark.parametrize("policy", POLICIES)
def test_turns_go_on(policy: Callable[[], Policy]) -> None:
    first = pool_of("abc", policy=policy())
    assert chosen(first, 1) == "a"
    second = after(first, "abcd", policy=policy())
    assert "a" not in chosen(second, 3)


def test_a_policy_that_knows_no_turns_begins_anew() -> None:
    first = pool_of("ab", policy=policy_for({"policy": "random"}))
    assert sorted(chosen(after(first, "ab"), 2)) == ["a", "b"]


def test_a_breaker_stays_open_under_the_same_rule_only() -> None:
    rules = HealthRules(breaker=LASTING)
    first = pool_of("ab", health=rules)
    attempt = first.next(REQUEST)
    assert attempt is not None
    attempt.failed(ConnectError("refused"))
    assert set(chosen(after(first, "ab", health=rules), 4)) == {"b"}
    assert set(chosen(after(first, "ab", health=HealthRules(breaker=RULE)), 4)) == {"a", "b"}


def test_a_breaker_that_opens_by_a_request_of_the_older_config_is_open_in_the_newer() -> None:
    rules = HealthRules(breaker=LASTING)
    first = pool_of("ab", health=rules)
    late = first.next(REQUEST)
    second = after(first, "ab", health=rules)
    assert late is not None
    late.failed(ConnectError("refused"))
    assert set(chosen(second, 4)) == {"b"}


def test_a_trial_that_ends_under_the_older_config_makes_room_for_one_of_the_newer() -> None:
    rules = HealthRules(breaker=RULE)
    first = pool_of("a", health=rules)
    for _ in range(2):
        attempt = first.next(REQUEST)
        assert attempt is not None
        attempt.failed(ConnectError("refused"))
    trial = first.next(REQUEST)
    second = after(first, "a", health=rules)
    assert second.next(REQUEST) is None
    assert trial is not None
    trial.over()
    assert second.next(REQUEST) is not None


async def closed_by(*pools: Pool) -> None:
    """Let what closes sessions come to its end in the last of the pools."""
    with anyio.fail_after(PATIENCE):
        while any(pool._rebalancing and pool._rebalancing._shedding.left for pool in pools):  # noqa: ASYNC110 - nobody else waits for that
            await anyio.sleep(0.005)


async def test_a_server_that_a_new_config_adds_gets_its_share_of_the_older_sessions() -> None:
    async with pool_of("ab", rebalance=QUICK) as first:
        sessions = opened(first, 12)
        async with after(first, "abc", rebalance=QUICK) as second:
            await closed_by(second)
    assert closes(sessions) == "aabb"


async def test_older_sessions_that_have_ended_count_no_longer() -> None:
    async with pool_of("a", rebalance=QUICK) as first:
        sessions = opened(first, 12)
        second = after(first, "a", rebalance=QUICK)
        for attempt, _ in sessions[:10]:
            attempt.over()
        async with second, after(second, "ab", rebalance=QUICK) as third:
            assert third.members[0].sessions == {session for _, session in sessions[10:]}
            await closed_by(third)
    assert closes(sessions) == "a"


async def test_a_new_config_without_new_servers_closes_what_is_left() -> None:
    rare = Rebalance(per_minute=1)
    async with pool_of("ab", rebalance=rare) as first:
        sessions = opened(first, 12)
        first.replace([Server.at(f"ws://{name}") for name in "abc"])
        async with after(first, "abc", rebalance=QUICK) as second:
            await closed_by(second)
    assert closes(sessions) == "aabb"


async def test_a_new_config_that_fails_to_start_leaves_the_rest_to_the_older_one() -> None:
    async with pool_of("ab", rebalance=QUICK) as first:
        sessions = opened(first, 12)
        first.replace([Server.at(f"ws://{name}") for name in "abc"])
        async with after(first, "abc"):
            pass
        await closed_by(first)
    assert closes(sessions) == "aabb"


async def test_a_new_config_without_rebalance_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def pause(rule: Rebalance, chance: float) -> float:
        pauses.append(chance)
        return 0.0

    monkeypatch.setattr(Rebalance, "pause", pause)
    async with pool_of("ab", rebalance=QUICK) as first:
        sessions = opened(first, 12)
        async with after(first, "ab"):
            first.replace([Server.at(f"ws://{name}") for name in "abc"])
            with anyio.fail_after(PATIENCE):
                while len(pauses) < 9:
                    await checkpoint()
    assert closes(sessions) == ""


async def test_sessions_that_an_older_config_kept_no_list_of_stay() -> None:
    async with pool_of("ab") as first:
        sessions = opened(first, 12)
        async with after(first, "abc", rebalance=QUICK) as second:
            await closed_by(second)
    assert closes(sessions) == ""


class Alone:
    """What a filter knows of a pool: nothing more."""

    def __init__(self, spec: Any) -> None:
        self.pool = Pool.from_spec(spec)


def pools_of(*names: str) -> Pools[Alone]:
    specs: list[dict[str, Any]] = [
        {
            "servers": [{"url": f"ws://{one}", "keepHost": False} for one in each],
            "circuitBreaker": {
                "failureRateThreshold": 50,
                "slidingWindowSize": 4,
                "minimumNumberOfCalls": 1,
                "waitDurationInOpenState": 15.0,
                "permittedNumberOfCallsInHalfOpenState": 1,
                "on": ["connect"],
            },
        }
        for each in names
    ]
    return Pools(specs, Alone)


def breakers(pools: Pools[Alone]) -> list[list[Any]]:
    return [[member.breaker for member in each.pool.members] for each in pools._settings]


def test_of_several_pools_each_follows_the_one_with_most_servers_in_common() -> None:
    older, newer = pools_of("xyz", "a", "abc"), pools_of("abcd", "zq", "e")
    (x, y, z), (lone,), (a, b, c) = breakers(older)
    newer.inherit(older)
    abcd, zq, e = breakers(newer)
    assert abcd[:3] == [a, b, c]
    assert zq[0] is z
    assert not {abcd[3], zq[1], *e} & {x, y, z, lone, a, b, c}


def test_a_pool_is_followed_once() -> None:
    older, newer = pools_of("ab"), pools_of("a", "b")
    newer.inherit(older)
    ((a, b),) = breakers(older)
    one, other = breakers(newer)
    assert one == [a]
    assert other != [b]


def test_retries_are_counted_through_configs() -> None:
    before, after = Pool([Server.at("ws://a")]), Pool([Server.at("ws://a")])
    before.retried = 3
    after.inherit(before)
    assert after.retried == 3
