"""When each of many sessions gets its Close."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Ending, Opening
from easews.config.model import Drain
from easews.operate.serving.drain import PER_SESSION, schedule, stop_window
from easews.operate.serving.draining import Draining
from easews.sessions import Sessions
from easews.testing import OpenSession

counts = st.integers(0, 400)
windows = st.floats(0, 3600)
caps = st.integers(1, 50)
jitters = st.randoms(use_true_random=False).map(lambda source: source.random)
#: What floating point may lose.
TINY = 1e-6


@given(counts, windows, jitters)
def test_each_session_has_a_slot_of_its_own_in_the_window(
    count: int, window: float, jitter: Callable[[], float]
) -> None:
    times = schedule(count, window, jitter=jitter)
    slot = window / max(count, 1)
    assert len(times) == count
    for number, at in enumerate(times):
        assert number * slot - TINY <= at <= (number + 1) * slot + TINY
    assert all(0 <= at <= window for at in times)


@given(counts, windows, caps, jitters)
def test_no_second_has_more_closes_than_the_cap(
    count: int, window: float, cap: int, jitter: Callable[[], float]
) -> None:
    times = schedule(count, window, cap, jitter)
    assert all(earlier <= later + TINY for earlier, later in pairwise(times))
    assert all(
        later - earlier >= 1 - TINY for earlier, later in zip(times, times[cap:], strict=False)
    )
    assert all(at <= max(window, count / cap) + TINY for at in times)


@given(counts, jitters)
def test_a_cap_that_the_window_keeps_anyway_leaves_it_as_long(
    count: int, jitter: Callable[[], float]
) -> None:
    assert all(at <= 60 + TINY for at in schedule(count, 60, math.ceil(count / 60) + 1, jitter))


def test_a_stop_takes_a_tenth_of_a_second_for_a_session_at_most() -> None:
    assert stop_window(0, 30) == 0
    assert stop_window(2, 30) == pytest.approx(2 * PER_SESSION)
    assert stop_window(5000, 30) == 30


# -- with sessions, on a virtual clock -----------------------------------------------------------

HOW = Drain(delay=0, window=30, deadline=10, code=1012, per_second=0)


class Timed(OpenSession):
    """Knows when it was closed."""

    def __init__(self, name: str) -> None:
        super().__init__(Opening(name))
        self.closed: list[float] = []

    def close(self, code: int, reason: str) -> None:
        super().close(code, reason)
        self.closed.append(anyio.current_time())


def on_a_virtual_clock(test: Callable[[], Awaitable[None]]) -> None:
    """Run it with a clock that jumps to what is due, from 0."""
    trio = pytest.importorskip("trio")
    clock = pytest.importorskip("trio.testing").MockClock(autojump_threshold=0)
    trio.run(test, clock=clock)


def opened(sessions: Sessions, count: int) -> list[Timed]:
    found = [Timed(str(number)) for number in range(count)]
    for session in found:
        sessions.opened(session)
    return found


def first_closes(found: list[Timed]) -> list[float]:
    return [session.closed[0] for session in found]


def test_a_drain_is_spread_over_its_window() -> None:
    async def test() -> None:
        sessions = Sessions()
        found = opened(sessions, 60)
        async with anyio.create_task_group() as tasks:
            began = anyio.current_time()
            Draining(sessions, tasks).begin(found, HOW, "gone")
        assert [session.closes for session in found] == [[(1012, "gone")]] * 60
        for number, at in enumerate(first_closes(found)):
            assert number / 2 <= at - began <= (number + 1) / 2

    on_a_virtual_clock(test)


def test_a_stop_of_a_few_sessions_is_short_and_ends_with_the_last_close() -> None:
    async def test() -> None:
        sessions = Sessions()
        found = opened(sessions, 10)
        async with anyio.create_task_group() as tasks:
            began = anyio.current_time()
            await Draining(sessions, tasks).finish(HOW, "stopping")
            assert anyio.current_time() == first_closes(found)[-1]
        assert 9 * PER_SESSION <= first_closes(found)[-1] - began <= 10 * PER_SESSION

    on_a_virtual_clock(test)


def test_a_stop_takes_over_the_sessions_that_wait_already() -> None:
    async def test() -> None:
        sessions = Sessions()
        found = opened(sessions, 10)
        async with anyio.create_task_group() as tasks:
            draining = Draining(sessions, tasks)
            draining.begin(found, HOW, "gone", lambda _: False)
            assert len(draining) == 10
            await draining.finish(HOW, "stopping")
            assert len(draining) == 0
        assert [session.closes for session in found] == [[(1012, "stopping")]] * 10

    on_a_virtual_clock(test)


def test_the_cap_holds_for_all_drains_together() -> None:
    async def test() -> None:
        sessions = Sessions()
        how = HOW._replace(window=1, per_second=5)
        found = opened(sessions, 40)
        async with anyio.create_task_group() as tasks:
            draining = Draining(sessions, tasks)
            draining.begin(found[:20], how, "one")
            draining.begin(found[20:], how, "other")
        times = sorted(first_closes(found))
        assert all(
            later - earlier >= 1 - TINY for earlier, later in zip(times, times[5:], strict=False)
        )
        assert times[-1] - times[0] <= 40 / 5 + 1

    on_a_virtual_clock(test)


def test_sessions_that_have_ended_by_themselves_are_not_waited_for() -> None:
    async def test() -> None:
        sessions = Sessions()
        found = opened(sessions, 100)
        async with anyio.create_task_group() as tasks:
            began = anyio.current_time()

            async def leave() -> None:
                await anyio.sleep(2)
                for session in found:
                    sessions.ended(session, Ending("client", 1000, "closed", 1))

            tasks.start_soon(leave)
            await Draining(sessions, tasks).finish(HOW, "stopping")
            assert 2 <= anyio.current_time() - began <= 2 + 2 * PER_SESSION

    on_a_virtual_clock(test)


async def test_a_session_waits_for_one_close_and_stays_when_its_path_is_back() -> None:
    how = HOW._replace(window=0)
    sessions = Sessions()
    one, two = (OpenSession(Opening(name)) for name in ("1", "2"))
    async with anyio.create_task_group() as tasks:
        draining = Draining(sessions, tasks)
        for session in (one, two):
            sessions.opened(session)
        draining.begin([one], how, "gone")
        draining.begin([one], how, "gone")
        draining.begin([one, two], how, "gone", lambda _: False)
        assert len(draining) == 2
    assert (one.closes, two.closes, len(draining)) == ([(1012, "gone")], [], 0)
