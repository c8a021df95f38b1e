"""Answers of several workers as one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.operate.control import PoolState, SessionPage, SessionState
from easews.operate.queries import page
from easews.operate.workers.merging import merged_pages, merged_pools, merged_status


def session(opened: float, number: int) -> SessionState:
    some: Any = dict.fromkeys(("client", "server", "route", "pipeline", "backend", "path"), "x")
    made: Any = {**some, "id": f"s{number}", "opened": opened, "labels": {}}
    state: SessionState = made
    return state


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=30),
    st.integers(1, 7),
)
def test_pages_of_several_workers_are_those_of_one(
    sessions: list[tuple[int, int]], limit: int
) -> None:
    all_of_them = [session(opened, number) for number, (opened, _) in enumerate(sessions)]
    workers = [worker for _, worker in sessions]
    of = [
        [state for state, worker in zip(all_of_them, workers, strict=True) if worker == number]
        for number in range(3)
    ]
    after: str | None = ""
    seen: list[str] = []
    while after is not None:
        query: Any = {"limit": limit, "after": after}
        one = merged_pages([page(states, query) for states in of], query)
        assert one == page(all_of_them, query)
        seen += [state["id"] for state in one["sessions"]]
        after = one["next"]
    assert sorted(seen) == sorted(state["id"] for state in all_of_them)


def test_no_worker_has_a_page() -> None:
    empty: SessionPage = {"sessions": [], "total": 0, "next": None}
    assert merged_pages([], {}) == empty


def pool(*servers: tuple[str, str, int]) -> list[PoolState]:
    states: Any = [{"url": url, "state": state, "active": n} for url, state, n in servers]
    return [{"pipeline": "p", "filter": "f", "pool": 0, "policy": "random", "servers": states}]


@pytest.mark.parametrize(
    ("some", "others", "state"),
    [
        ("up", "down", "down"),
        ("ejected", "up", "ejected"),
        ("up", "up", "up"),
        ("up", "?", "?"),
    ],
)
def test_a_server_is_as_well_as_where_it_is_worst(some: str, others: str, state: str) -> None:
    (one,) = merged_pools([pool(("a", some, 2)), pool(("a", others, 3))])
    assert [(server["state"], server["active"]) for server in one["servers"]] == [(state, 5)]


def test_servers_that_one_worker_alone_has_are_listed() -> None:
    (one,) = merged_pools([pool(("a", "up", 1)), pool(("a", "up", 1), ("b", "up", 1))])
    assert [server["url"] for server in one["servers"]] == ["a", "b"]


def test_numbers_of_a_status_are_added_up() -> None:
    def status(sessions: int, *older: tuple[int, int]) -> Any:
        return {
            "relay": "compiled",
            "sessions": sessions,
            "draining": 1,
            "held": 10,
            "kept_behind": 0,
            "older": [{"generation": number, "sessions": count} for number, count in older],
        }

    one = merged_status([status(3, (1, 2)), status(4, (2, 1), (1, 5))])
    assert (one["sessions"], one["draining"], one["held"]) == (7, 2, 20)
    assert one["older"] == [{"generation": 1, "sessions": 7}, {"generation": 2, "sessions": 1}]
