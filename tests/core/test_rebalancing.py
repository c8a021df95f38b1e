"""After a scale-out: how many sessions are closed, and at which servers."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.upstream.balance.rebalancing import (
    Load,
    Rebalance,
    Shedding,
    fair_shares,
    rebalance_faults,
)

RULE = Rebalance(per_minute=60, above=0.2)
LOADS = st.lists(st.builds(Load, st.integers(0, 500), st.integers(1, 9)), min_size=1, max_size=9)


def scaled_out(loads: list[Load], new: list[Load]) -> Shedding:
    """Servers with these loads, and then these new ones besides."""
    shedding = Shedding(RULE)
    shedding.update(range(len(loads)), loads)
    shedding.update(range(len(loads) + len(new)), [*loads, *new])
    return shedding


def shed(shedding: Shedding, loads: list[Load], come_back: bool = True) -> list[int]:
    """Close sessions until no more are to be closed; the clients go where there is most room."""
    closed = []
    while (index := shedding.next(loads)) is not None:
        closed.append(index)
        loads[index] = loads[index]._replace(active=loads[index].active - 1)
        if come_back:
            best = min(range(len(loads)), key=lambda n: (loads[n].active + 1) / loads[n].weight)
            loads[best] = loads[best]._replace(active=loads[best].active + 1)
    return closed


def test_a_new_server_gets_its_share_and_no_session_is_closed_twice() -> None:
    loads = [Load(100, 1), Load(100, 1), Load(100, 1), Load(0, 1)]
    closed = shed(scaled_out(loads[:3], loads[3:]), loads)
    assert sorted(closed) == [0] * 25 + [1] * 25 + [2] * 25
    assert [load.active for load in loads] == [75] * 4


def test_nothing_is_closed_without_a_scale_out() -> None:
    loads = [Load(100, 1), Load(0, 1)]
    shedding = Shedding(RULE)
    assert not shedding.left
    for servers in ("ab", "ab", "b", "bc"):
        assert shedding.update(servers, loads[-len(servers) :]) is (servers == "bc")
        assert shedding.next(loads) == (0 if servers == "bc" else None)


def test_it_begins_above_the_limit_and_ends_at_the_share() -> None:
    assert not scaled_out([Load(120, 1)], [Load(80, 1)]).left
    shedding = scaled_out([Load(121, 1)], [Load(79, 1)])
    assert shedding.left
    assert shedding.next([Load(100, 1), Load(100, 1)]) is None  # clients have left meanwhile
    assert not shedding.left


def test_sessions_are_closed_at_irregular_intervals() -> None:
    assert [Rebalance(30).pause(chance) for chance in (0, 0.5, 1)] == [2, 2.5, 3]


def test_a_small_difference_is_left_alone() -> None:
    loads = [Load(100, 1), Load(100, 1), Load(75, 1)]
    assert scaled_out(loads[:2], loads[2:]).next(loads) is None


def test_weights_count() -> None:
    loads = [Load(90, 1), Load(90, 3), Load(0, 2)]
    shed(scaled_out(loads[:2], loads[2:]), loads)
    assert [load.active for load in loads] == [30, 90, 60]


@given(LOADS, LOADS)
def test_only_servers_above_their_share_lose_sessions(loads: list[Load], new: list[Load]) -> None:
    every = [*loads, *new]
    shedding = scaled_out(loads, new)
    while (index := shedding.next(every)) is not None:
        assert every[index].active > fair_shares(every)[index]
        every[index] = every[index]._replace(active=every[index].active - 1)


@given(LOADS, LOADS)
def test_no_more_are_closed_than_were_above_the_shares(loads: list[Load], new: list[Load]) -> None:
    every = [*loads, *new]
    excess = sum(max(x.active - s, 0) for x, s in zip(every, fair_shares(every), strict=True))
    shedding = scaled_out(loads, new)
    closed = 0
    while shedding.next(every) is not None:  # every client comes back to where it was
        closed += 1
    assert closed <= excess
    assert not shedding.left


@given(LOADS, LOADS)
def test_it_ends_with_no_server_above_its_share_by_more_than_the_limit(
    loads: list[Load], new: list[Load]
) -> None:
    every = [*loads, *new]
    shed(scaled_out(loads, new), every)
    for load, share in zip(every, fair_shares(every), strict=True):
        assert load.active <= max(ceil(share), share * (1 + RULE.above)) + 1


@given(st.integers(1, 6000), st.floats(0, 1))
def test_no_more_are_closed_in_a_minute_than_allowed(per_minute: int, chance: float) -> None:
    assert Rebalance(per_minute).pause(chance) * per_minute >= 60 * 0.999999


def test_a_rule_is_made_from_its_spec() -> None:
    assert Rebalance.from_spec({"perMinute": 30, "above": 50}) == Rebalance(30, 0.5)


@pytest.mark.parametrize(
    ("balance", "why"),
    [
        ({}, ""),
        ({"policy": "leastConnections"}, ""),
        ({"policy": "cookieHash", "cookieHashKey": "id"}, "`cookieHash`"),
        ({"policy": "leastConnections", "stickySession": {}}, "stickySession"),
        ({"stickySession": {}}, "stickySession"),
    ],
)
def test_what_leads_clients_back_is_refused(balance: dict[str, object], why: str) -> None:
    pool = {"rebalance": {"perMinute": 60, "above": 20}, "loadBalance": balance}
    faults = [*rebalance_faults(pool, ["pools", 0])]
    assert [fault.path for fault in faults] == [("pools", 0, "rebalance")] * bool(why)
    assert all(f"with {why} the clients" in fault.wrong for fault in faults)
    assert not [*rebalance_faults({"loadBalance": balance}, [])]
