"""Which sessions a query means, and its pages."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.operate.control import Query, Refused, SessionState
from easews.operate.queries import EXACT, chosen, has_condition, page


def state(id: str = "a-1", opened: float = 0.0, **fields: Any) -> SessionState:
    known: dict[str, Any] = {
        **dict.fromkeys(EXACT, ""),
        "labels": {},
        "age": 0.0,
        "handshake": 0.0,
        "generation": 1,
        **dict.fromkeys(("messages_in", "bytes_in", "messages_out", "bytes_out", "held"), 0),
        "client_rtt": None,
        "backend_rtt": None,
        "worker": 0,
    }
    return cast(SessionState, {**known, "id": id, "opened": opened, **fields})


def ids(states: list[SessionState], **query: Any) -> list[str]:
    asked = cast(Query, query)
    return [it["id"] for it in page(chosen(states, asked), asked)["sessions"]]


words = st.sampled_from(["", "chat", "Chat-2", "10.0.0.1"])
states = st.builds(
    state,
    id=st.text("abc-", min_size=1, max_size=3),
    opened=st.sampled_from([0.0, 1.5, 1.5e9]),
    labels=st.dictionaries(st.sampled_from(["user", "tenant"]), words),
    **dict.fromkeys(EXACT, words),
)
crowds = st.lists(states, max_size=12, unique_by=lambda it: it["id"])
conditions: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(EXACT, words),
    "labels": st.dictionaries(st.sampled_from(["user", "tenant"]), words, max_size=1),
    "ids": st.lists(st.text("abc-", min_size=1, max_size=3), max_size=3),
    "search": words,
}
nothing: dict[str, st.SearchStrategy[Any]] = {}
queries = st.fixed_dictionaries(nothing, optional=conditions).map(lambda it: cast(Query, it))


@given(crowds, queries, st.integers(1, 4))
def test_pages_put_together_are_all_that_the_query_means_oldest_first(
    crowd: list[SessionState], query: Query, limit: int
) -> None:
    found: list[SessionState] = []
    wanted: Query = {**query, "limit": limit}
    while True:
        got = page(chosen(crowd, wanted), wanted)
        assert len(got["sessions"]) <= limit
        assert got["total"] == len(list(chosen(crowd, query)))
        found += got["sessions"]
        if got["next"] is None:
            break
        wanted = {**query, "limit": limit, "after": got["next"]}
    assert found == sorted(chosen(crowd, query), key=lambda it: (it["opened"], it["id"]))


@given(crowds, queries)
def test_each_condition_leaves_fewer_or_as_many(crowd: list[SessionState], query: Query) -> None:
    alone = [
        {it["id"] for it in chosen(crowd, cast(Query, {name: value}))}
        for name, value in query.items()
    ]
    everyone = {it["id"] for it in crowd}
    assert {it["id"] for it in chosen(crowd, query)} == everyone.intersection(*alone)


@given(crowds, queries)
def test_without_a_condition_all_are_meant(crowd: list[SessionState], query: Query) -> None:
    if not has_condition(query):
        assert list(chosen(crowd, query)) == crowd


def test_a_session_that_ends_between_two_pages_makes_none_come_twice_or_never() -> None:
    crowd = [state(f"a-{number}", float(number)) for number in range(4)]
    first = page(crowd, {"limit": 2})
    rest = page([crowd[0], *crowd[2:]], {"limit": 2, "after": first["next"] or ""})
    assert [it["id"] for it in rest["sessions"]] == ["a-2", "a-3"]
    assert rest["next"] is None


def test_text_is_found_in_any_field_and_in_either_case() -> None:
    crowd = [state("a-1", backend="ws://CHAT:1"), state("a-2", labels={"user": "chatty"})]
    assert ids([*crowd, state("a-3")], search="Chat") == ["a-1", "a-2"]


def test_all_labels_are_asked_for_and_any_of_the_ids() -> None:
    both = {"user": "ann", "tenant": "x"}
    crowd = [state("a-1", labels=both), state("a-2", labels={"user": "ann"})]
    assert ids(crowd, labels=both) == ["a-1"]
    assert ids(crowd, ids=["a-2", "a-9"]) == ["a-2"]


@pytest.mark.parametrize("limit", [-1, 0, 1001])
def test_a_page_has_one_session_at_least_and_a_thousand_at_most(limit: int) -> None:
    crowd = [state(f"a-{number:04}") for number in range(1001)]
    assert len(ids(crowd, limit=limit)) == max(1, min(limit, 1000))


@pytest.mark.parametrize("after", ["a-1", "nan~a-1", "inf~a", "~", "x~a-1"])
def test_an_after_that_no_page_has_given_is_refused(after: str) -> None:
    with pytest.raises(Refused):
        page([state()], {"after": after})
