"""Which connections are kept, as rules over numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews.upstream.exchange.keeping import KeepLimits, Shelf, idle_time
from easews.upstream.exchange.roundtrip import may_repeat

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc")),
        st.tuples(st.just("take"), st.sampled_from("abc")),
        st.tuples(st.just("wait"), st.integers(1, 20)),
    ),
    max_size=60,
)
LIMITS = st.builds(
    KeepLimits, st.integers(0, 4), st.integers(0, 8), st.sampled_from([0.0, 5.0, 30.0])
)


@given(STEPS, LIMITS)
def test_every_connection_is_open_in_one_place_and_limits_hold(
    steps: list[tuple[str, str | int]], limits: KeepLimits
) -> None:
    shelf: Shelf[tuple[str, int]] = Shelf()
    kept: dict[tuple[str, int], float] = {}  # what has to be there, and until when
    now = 0.0
    for number, (step, of) in enumerate(steps):
        if step == "wait":
            now += float(of)
            over = shelf.expired(now)
            assert sorted(over) == sorted(one for one, until in kept.items() if until <= now)
        elif step == "put":
            connection = (str(of), number)
            kept[connection] = now + limits.idle
            over = shelf.put(of, connection, now, limits, limits.idle)
            assert {server for server, _ in over} <= {of}
        else:
            found = shelf.take(of)
            own = [one for one in kept if one[0] == of]
            assert found == (max(own, key=lambda one: one[1]) if own else None)
            over = [] if found is None else [found]
        for one in over:
            del kept[one]
        assert len(shelf) == len(kept) <= limits.in_all
        assert all(sum(s == name for s, _ in kept) <= limits.per_server for name in "abc")
    assert sorted(shelf.expired(float("inf"))) == sorted(kept)
    assert len(shelf) == 0


def test_the_oldest_gives_way_to_the_newest() -> None:
    shelf: Shelf[int] = Shelf()
    limits = KeepLimits(per_server=2, in_all=3)
    assert [shelf.put("a", number, 0, limits, 9) for number in (1, 2, 3)] == [[], [], [1]]
    assert shelf.put("b", 4, 0, limits, 9) == []
    assert shelf.put("b", 5, 0, limits, 9) == [4]
    assert shelf.put("c", 6, 0, limits, 9) == [6]  # all room is taken by other servers


@pytest.mark.parametrize(
    ("method", "sent", "begun", "allowed"),
    [
        ("GET", True, False, True),
        ("PUT", True, False, True),
        ("PUT", True, True, False),
        ("POST", True, False, False),
        ("POST", False, False, True),
        ("POST", False, True, False),
        ("GET", False, True, False),
        ("get", True, False, False),  # methods are compared with case
    ],
)
def test_what_may_be_sent_once_more(method: str, sent: bool, begun: bool, allowed: bool) -> None:
    assert may_repeat(method, sent, begun) is allowed


@pytest.mark.parametrize(
    ("keep_alive", "idle"),
    [
        ("timeout=5", 4),
        ("max=100, Timeout=20", 19),
        ("timeout=1", 0),
        ("timeout=3600", 60),
        ("max=100", 60),
        ("xtimeout=5", 60),
        ("timeout=soon", 60),
    ],
)
def test_a_server_may_say_for_how_long_it_waits(keep_alive: str, idle: float) -> None:
    assert idle_time(keep_alive, 60) == idle
