"""Pools as values: what a spec makes, and who is asked after a server has failed."""

from __future__ import annotations

import pytest

from easews import Opening, Request
from easews.testing import OpenSession
from easews.upstream import HealthRules, Pool, Queue, Server
from easews.upstream.balance.rebalancing import Rebalance
from easews.upstream.health.breaker import BreakerRule

REQUEST = Request("GET", "/")
BREAKER = BreakerRule(50, 4, 2, 15.0, 2, frozenset({"connect"}))


@pytest.mark.parametrize(
    ("url", "is_ip"),
    [("ws://backend.example", False), ("ws://127.0.0.1", True), ("ws://[::1]:8080", True)],
)
def test_a_server_knows_whether_its_host_is_an_ip(url: str, is_ip: bool) -> None:
    assert Server.at(url).is_ip is is_ip


def test_a_server_has_weight_1_and_gets_its_own_host_unless_told_otherwise() -> None:
    server = Server.at("ws://a")
    assert (server.weight, server.keep_host) == (1, False)
    server = Server.at("ws://a", weight=3, keep_host=True)
    assert (server.weight, server.keep_host) == (3, True)


def test_a_pool_is_made_from_its_spec() -> None:
    entries = [
        {"url": "ws://a", "weight": 2, "keepHost": True},
        {"url": "ws://b", "keepHost": False},
    ]
    pool = Pool.from_spec({"servers": entries})
    servers = [attempt.server for _ in range(3) if (attempt := pool.next(REQUEST))]
    first, second = Server.at("ws://a", weight=2, keep_host=True), Server.at("ws://b")
    assert servers == [first, second, first]


def test_a_server_that_fails_is_replaced_by_the_one_that_is_owed_most() -> None:
    pool = Pool([Server.at(f"ws://s{weight}", weight=weight) for weight in (5, 3, 1)])
    first = pool.next(REQUEST)
    assert first is not None
    second = pool.next(REQUEST, [first.server])
    assert second is not None
    assert (first.server.host, second.server.host) == ("s5", "s3")


def chosen_by(pool: Pool, times: int) -> list[str]:
    attempts = [pool.next(REQUEST) for _ in range(times)]
    return [attempt.server.host for attempt in attempts if attempt is not None]


def servers(*names: str) -> list[Server]:
    return [Server.at(f"ws://{name}") for name in names]


def test_the_servers_of_a_pool_can_be_replaced() -> None:
    pool = Pool(servers("a"))
    pool.replace(servers("a", "b"))
    assert sorted(chosen_by(pool, 2)) == ["a", "b"]
    pool.replace(servers("b"))
    assert chosen_by(pool, 2) == ["b", "b"]
    assert pool.next(REQUEST, servers("b")) is None
    pool.replace([])
    assert pool.next(REQUEST) is None


def test_a_server_that_stays_keeps_its_turn() -> None:
    pool = Pool(servers("a", "b", "c"))
    assert chosen_by(pool, 1) == ["a"]
    pool.replace(servers("a", "b", "c", "d"))
    assert "a" not in chosen_by(pool, 2)


def test_a_server_that_stays_may_get_another_weight() -> None:
    pool = Pool([Server.at("ws://a"), Server.at("ws://b")])
    pool.replace([Server.at("ws://a", weight=3), Server.at("ws://b")])
    assert sorted(chosen_by(pool, 4)) == ["a", "a", "a", "b"]


def test_a_server_stays_the_same_with_another_weight_and_limit() -> None:
    pool = Pool(servers("a", "b"), rebalance=Rebalance(60), health=HealthRules(breaker=BREAKER))
    stays = pool.members[0]
    breaker, sessions = stays.breaker, stays.sessions
    pool.replace([Server.at("ws://a", weight=3, limit=2), *servers("b")])
    assert pool.members[0] is stays
    assert (stays.server.weight, stays.weight, stays.limit) == (3, 3, 2)
    assert (stays.breaker, stays.sessions) == (breaker, sessions)


def test_a_server_that_gets_another_weight_meanwhile_is_not_asked_again() -> None:
    pool = Pool(servers("a", "b"))
    pool.replace([Server.at("ws://a", weight=3), *servers("b")])
    attempts = [pool.next(REQUEST, servers("a")) for _ in range(4)]
    assert [attempt.server.host for attempt in attempts if attempt] == ["b"] * 4


def test_a_higher_limit_lets_in_those_who_wait() -> None:
    pool = Pool([Server.at("ws://limited", limit=1)], queue=Queue(1, 30))
    assert pool.next(REQUEST) is not None
    waiting = pool.line.join(REQUEST, lambda: None)
    assert waiting is not None
    pool.replace([Server.at("ws://limited", limit=2)])
    assert waiting.attempt is not None


def test_a_server_may_be_in_a_pool_twice_and_each_stays_for_itself() -> None:
    twice = [Server.at("ws://a", keep_host=True), Server.at("ws://a"), Server.at("ws://a")]
    pool = Pool(twice)
    kept, own, other = pool.members
    pool.replace(twice)
    assert [*pool.members] == [kept, own, other]
    pool.replace([Server.at("ws://a", weight=2)])
    assert [*pool.members] == [own]


def test_sessions_at_a_server_that_is_gone_still_count_for_it() -> None:
    pool = Pool(servers("counted", "b"))
    attempt = pool.next(REQUEST)
    assert attempt is not None
    pool.replace(servers("b"))
    pool.replace(servers("counted", "b"))
    assert pool.standings["ws://counted"].active == 1
    attempt.over()
    assert pool.standings["ws://counted"].active == 0


def hosts_of(pool: Pool) -> set[str]:
    return {member.server.host for member in pool.members}


def test_only_servers_with_one_of_the_tags_are_used() -> None:
    entries = [
        {"url": "ws://a", "keepHost": False, "tags": ["blue", "eu"]},
        {"url": "ws://b", "keepHost": False, "tags": ["green"]},
        {"url": "ws://c", "keepHost": False},
    ]
    tagged = Pool.from_spec({"servers": entries, "serverTags": ["green"]})
    either = Pool.from_spec({"servers": entries, "serverTags": ["eu", "green"]})
    assert hosts_of(Pool.from_spec({"servers": entries})) == {"a", "b", "c"}
    assert (hosts_of(tagged), hosts_of(either)) == ({"b"}, {"a", "b"})


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("ws://10.0.0.1", "10.0.0.1"),
        ("ws://10.0.0.1:9000", "10.0.0.1:9000"),
        ("ws://[::1]", "[::1]"),
        ("ws://[::1]:9000", "[::1]:9000"),
        ("ws://a.example:9000", "a.example:9000"),
    ],
)
def test_a_server_with_an_ip_gets_it_as_host_where_that_is_asked_for(url: str, host: str) -> None:
    spec = {"servers": [{"url": url, "keepHost": False}], "setUpstreamHost": True}
    (member,) = Pool.from_spec(spec).members
    assert member.server.own_host == host


def test_a_session_of_the_process_before_counts_for_its_server_until_it_is_over() -> None:
    pool = Pool(servers("taken", "b"), rebalance=Rebalance(60))
    session = OpenSession(Opening("1", backend="ws://taken"))
    attempt = pool.adopt(session)
    assert attempt is not None
    assert attempt.server.url == "ws://taken"
    assert pool.standings["ws://taken"].active == 1
    assert pool.members[0].sessions == {session}
    attempt.over()
    attempt.over()
    assert pool.standings["ws://taken"].active == 0
    assert pool.members[0].sessions == set()


def test_a_session_at_a_server_that_the_new_config_lacks_counts_for_none() -> None:
    pool = Pool(servers("b"))
    assert pool.adopt(OpenSession(Opening("1", backend="ws://gone"))) is None
    assert pool.standings["ws://b"].active == 0
