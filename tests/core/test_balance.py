"""The policies: who is chosen, how fairly, and who moves when a server comes or goes."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from easews import Address, Headers, Request
from easews.upstream import Attempt, Pool, Server
from easews.upstream.balance import Policy, policy_faults, policy_for
from easews.upstream.balance.draws import Draw, TwoChoices
from easews.upstream.balance.hashing import BOUND
from easews.upstream.balance.least import Least
from easews.upstream.balance.rotation import Rotation
from easews.upstream.servers import Member, Standing

REQUEST = Request("GET", "/")
WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=8)
HASHES: list[dict[str, Any]] = [
    {"policy": "ipHash"},
    {"policy": "headerHash", "headerHashKey": "X-User"},
    {"policy": "cookieHash", "cookieHashKey": "user"},
    {"policy": "consistentHash"},
    {"policy": "consistentHash", "headerHashKey": "X-User"},
    {"policy": "consistentHash", "cookieHashKey": "user"},
]
EVERY = [
    *HASHES,
    *(
        {"policy": name}
        for name in (
            *("roundRobin", "weightedRoundRobin", "random", "weightedRandom"),
            *("leastConnections", "powerOfTwo"),
        )
    ),
]


def of_user(user: int) -> Request:
    """A request that every hash knows by the same user."""
    headers = Headers([("X-User", f"u{user}"), ("Cookie", f"a=b; user=u{user}; c")])
    return Request("GET", "/", headers, client=Address(f"10.0.{user // 256}.{user % 256}"))


def members(*weights: float) -> list[Member]:
    return [
        Member(Server.at(f"ws://s{number}", weight=round(weight)), Standing(), weight)
        for number, weight in enumerate(weights)
    ]


def hosts(policy: Policy, times: int) -> str:
    """The numbers of the servers that are chosen."""
    chosen = [policy.choose(REQUEST) for _ in range(times)]
    return "".join(member.server.host[1:] if member else "-" for member in chosen)


def pool_of(count: int, spec: Mapping[str, Any]) -> Pool:
    return Pool([Server.at(f"ws://s{number}") for number in range(count)], policy_for(spec))


def chosen(pool: Pool, users: Iterable[int]) -> list[str]:
    """The server that each of the users gets, when each stays for a moment only."""
    found = []
    for user in users:
        attempt = pool.next(of_user(user))
        assert attempt is not None
        found.append(attempt.server.host)
        attempt.over()
    return found


def test_turns_are_spread_evenly() -> None:
    policy = Rotation()
    policy.update(members(5, 1, 1))
    assert hosts(policy, 7) == "0100020"
    policy = Rotation()
    policy.update(members(2, 2, 2))
    assert hosts(policy, 6) == "012012"


def test_others_take_turns_in_standing_in_for_a_server() -> None:
    policy, they = Rotation(), members(1, 1, 1, 2)
    policy.update(they)
    chosen: Counter[str] = Counter()
    for _ in range(20):
        member = policy.choose(REQUEST)
        if member is they[0]:
            member = policy.choose(REQUEST, lambda one: one is they[0])
        assert member is not None
        chosen[member.server.host] += 1
    assert chosen == {"s1": 5, "s2": 5, "s3": 10}


def test_a_server_that_never_stood_in_need_not_make_up_for_it() -> None:
    policy, they = Rotation(), members(1, 1, 1)
    policy.update(they)
    for _ in range(10):
        policy.choose(REQUEST, lambda one: one is they[0])
    after = [policy.choose(REQUEST, lambda one: one is they[1]) for _ in range(20)]
    assert abs(after.count(they[0]) - after.count(they[2])) <= 2


@given(WEIGHTS, st.integers(0, 40))
def test_a_change_of_a_weight_takes_no_turn_away(weights: list[int], turns: int) -> None:
    policy, they = Rotation(), members(*weights)
    policy.update(they)
    hosts(policy, turns)
    they[0].weight = 7
    policy.update(they)
    after = Counter(hosts(policy, sum(member.weight for member in they) * 5))  # type: ignore[arg-type]
    for number, member in enumerate(they):
        assert abs(after[str(number)] - member.weight * 5) <= 1


def test_lots_are_drawn_by_weight_or_not() -> None:
    for weighted, least, most in ((True, 700, 800), (False, 450, 550)):
        policy = Draw(weighted=weighted, random=Random(1))
        policy.update(members(1, 3))
        assert least <= hosts(policy, 1000).count("1") <= most


def test_of_two_choices_the_one_with_less_to_do_by_its_weight_is_taken() -> None:
    they = members(1, 4)
    policy = TwoChoices(Random(1))
    policy.update(they)
    they[0].standing.count(1)
    they[1].standing.count(4)
    assert hosts(policy, 8) == "1" * 8  # (4 + 1) / 4 is less than (1 + 1) / 1
    they[1].standing.count(8)
    assert hosts(policy, 8) == "0" * 8


def test_the_server_with_the_least_to_do_is_next_and_equals_take_turns() -> None:
    they = members(1, 1, 1)
    policy = Least()
    policy.update(they)
    assert hosts(policy, 6) == "012012"
    for number in "012012":
        assert hosts(policy, 1) == number
        they[int(number)].standing.count(1)
        they[int(number)].standing.count(-1)
    they[0].standing.count(2)
    they[2].standing.count(1)
    assert hosts(policy, 2) == "11"
    they[0].standing.count(-2)
    assert set(hosts(policy, 4)) == {"0", "1"}


def test_sessions_of_another_pool_count_for_their_server() -> None:
    earlier = Pool([Server.at("ws://s0")])
    sessions = [earlier.next(REQUEST) for _ in range(3)]
    pool = pool_of(2, {"policy": "leastConnections"})
    del earlier
    gc.collect()
    now = [pool.next(REQUEST) for _ in range(3)]
    assert [attempt.server.host for attempt in now if attempt] == ["s1"] * 3
    for attempt in (*sessions, *now):
        assert attempt is not None
        attempt.over()
        attempt.over()
    assert [standing.active for standing in pool.standings.values()] == [0, 0]


@pytest.mark.parametrize("spec", HASHES)
def test_a_client_gets_the_same_server_each_time_and_in_every_process(
    spec: dict[str, Any],
) -> None:
    one, other = pool_of(5, spec), pool_of(5, spec)
    assert chosen(one, range(50)) == chosen(one, range(50)) == chosen(other, range(50))


@pytest.mark.parametrize("spec", HASHES[:4])
@pytest.mark.parametrize("count", [3, 10])
def test_when_one_of_n_servers_leaves_only_its_clients_move(
    spec: dict[str, Any], count: int
) -> None:
    users = range(2000)
    before, after = chosen(pool_of(count, spec), users), chosen(pool_of(count - 1, spec), users)
    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {f"s{count - 1}"}
    assert 0.6 < len(moved) * count / len(users) < 1.5


@pytest.mark.parametrize("spec", HASHES[:4])
@pytest.mark.parametrize(("weight", "later", "share"), [(1, 2, 1 / 6), (3, 2, 1 / 15)])
def test_with_another_weight_of_a_server_only_clients_to_or_from_it_move(
    spec: dict[str, Any], weight: int, later: int, share: float
) -> None:
    def servers(weight: int) -> list[Server]:
        others = (Server.at(f"ws://s{number}", weight=2) for number in range(1, 5))
        return [Server.at("ws://s0", weight=weight), *others]

    pool, users = Pool(servers(weight), policy_for(spec)), range(2000)
    before = chosen(pool, users)
    pool.replace(servers(later))
    after = chosen(pool, users)
    moved = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert all("s0" in pair for pair in moved)
    assert 0.3 < len(moved) / len(users) / share < 1.7


@pytest.mark.parametrize("spec", HASHES[1:3])
def test_a_request_without_the_key_goes_round(spec: dict[str, Any]) -> None:
    pool = pool_of(3, spec)
    found = [pool.next(REQUEST) for _ in range(3)]
    assert [attempt.server.host for attempt in found if attempt] == ["s0", "s1", "s2"]


@given(st.lists(st.integers(0, 3), max_size=300), WEIGHTS)
def test_no_popular_key_overloads_a_server(users: list[int], weights: list[int]) -> None:
    servers = [Server.at(f"ws://s{n}", weight=weight) for n, weight in enumerate(weights)]
    pool = Pool(servers, policy_for({"policy": "consistentHash"}))
    for number, user in enumerate(users, 1):
        attempt = pool.next(of_user(user))
        assert attempt is not None
        attempt.standing.ejection.last_error = ""
        share = number * attempt.server.weight / sum(weights)
        assert attempt.standing.active <= BOUND * share + 1 or len(weights) == 1


@pytest.mark.parametrize("spec", EVERY)
def test_a_server_that_has_failed_is_not_asked_twice(spec: dict[str, Any]) -> None:
    pool, tried = pool_of(4, spec), list[Server]()
    while (attempt := pool.next(of_user(1), tried)) is not None:
        tried.append(attempt.server)
    assert len(tried) == len(set(tried)) == 4


@pytest.mark.parametrize("spec", EVERY)
def test_a_server_that_is_not_usable_is_passed_over(spec: dict[str, Any]) -> None:
    they = members(1, 1, 1)
    they[1].usable = False
    policy = policy_for(spec)
    policy.update(they)
    assert {policy.choose(of_user(user)) for user in range(60)} == {they[0], they[2]}
    they[0].usable = they[2].usable = False
    policy.update(they)
    assert policy.choose(of_user(1)) is None


@pytest.mark.parametrize("spec", EVERY)
def test_servers_come_and_go_while_others_stay(spec: dict[str, Any]) -> None:
    pool = pool_of(3, spec)
    stays = pool.members[1]
    pool.replace([stays.server, Server.at("ws://s7"), Server.at("ws://none", weight=0)])
    assert pool.members[0] is stays
    assert set(chosen(pool, range(60))) == {"s1", "s7"}
    pool.replace([stays.server])
    assert set(chosen(pool, range(9))) == {"s1"}
    stays.usable = False
    pool.changed()
    assert pool.next(of_user(1)) is None
    pool.replace([])
    assert pool.next(of_user(1)) is None


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"policy": "headerHash"}, "policy"),
        ({"policy": "cookieHash"}, "policy"),
        ({"policy": "roundRobin", "headerHashKey": "X"}, "headerHashKey"),
        ({"cookieHashKey": "x"}, "cookieHashKey"),
        ({"policy": "consistentHash", "headerHashKey": "X", "cookieHashKey": "x"}, "cookieHashKey"),
    ],
)
def test_a_key_and_its_policy_belong_together(spec: dict[str, Any], field: str) -> None:
    (fault,) = policy_faults(spec, ("pools", 0, "loadBalance"))
    assert fault.path == ("pools", 0, "loadBalance", field)


class Sessions(RuleBasedStateMachine):
    """Sessions open and end, in two pools that share their servers."""

    def __init__(self) -> None:
        super().__init__()
        specs = ({"policy": "leastConnections"}, {"policy": "consistentHash"})
        self.pools = [pool_of(4, spec) for spec in specs]
        self.open: list[Attempt] = []

    @rule(number=st.integers(0, 1), user=st.integers(0, 30))
    def opens(self, number: int, user: int) -> None:
        pool = self.pools[number]
        least = min(standing.active for standing in pool.standings.values())
        attempt = pool.next(of_user(user))
        assert attempt is not None
        if number == 0:
            assert attempt.standing.active == least + 1
        self.open.append(attempt)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        self.open.pop(data.draw(st.integers(0, len(self.open) - 1))).over()

    @invariant()
    def counts_are_right(self) -> None:
        real = Counter(attempt.server.url for attempt in self.open)
        for pool in self.pools:
            assert {url: it.active for url, it in pool.standings.items() if it.active} == real

    def teardown(self) -> None:
        for attempt in self.open:
            attempt.over()


test_counts_equal_what_is_open = Sessions.TestCase
