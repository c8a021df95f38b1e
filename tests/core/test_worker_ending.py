"""The end of workers: how long each of them has, on a virtual clock."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, cast

import anyio
from tests.core.test_drain import on_a_virtual_clock

from easews.config.model import Config, Drain, GatewaySpec
from easews.operate.stopping import GRACE
from easews.operate.workers.ending import ANSWER_PATIENCE, Ending
from easews.operate.workers.offer import Offer

HOW = Drain(delay=5, window=30, deadline=10, code=1001, per_second=0)
#: After how many seconds a worker is ended that has sent all Closes within the window.
TIME = 5 + 30 + 10 + 2 * GRACE + ANSWER_PATIENCE


class FakeProcess:
    """A worker that sends Closes until `closes`, and ends at `ends` by itself. `killed` is when it
    was killed.
    """

    def __init__(self, *, closes: float = 0, ends: float = inf) -> None:
        self.number = 1
        self.offer = self
        self.calls = self
        self.ended = anyio.Event()
        self.killed: float | None = None
        self._closes, self._ends = closes, ends

    async def call(self, name: str) -> Any:
        return {"draining": int(anyio.current_time() < self._closes)} if name == "status" else None

    async def live(self) -> None:
        with anyio.move_on_after(self._ends):
            await self.ended.wait()
        self.ended.set()

    def kill(self) -> None:
        if not self.ended.is_set():
            self.killed = anyio.current_time()
            self.ended.set()


def stopped(how: Drain, *makes: dict[str, float]) -> list[float | None]:
    """When each of these workers was killed, in seconds from the beginning of a stop."""
    found: list[float | None] = []

    async def test() -> None:
        processes = [FakeProcess(**make) for make in makes]
        offer = Offer(Config((), (), GatewaySpec(how, "text")), {}, 1)
        over = anyio.Event()

        async def wait_for_all() -> None:
            for process in processes:
                await process.ended.wait()
            over.set()

        async with anyio.create_task_group() as tasks:
            for process in processes:
                tasks.start_soon(process.live)
            tasks.start_soon(wait_for_all)
            put, signals = anyio.create_memory_object_stream[Any]()
            with put, signals:
                await Ending(cast(Sequence[Any], processes), offer).run(signals, over)
        found.extend(process.killed for process in processes)

    on_a_virtual_clock(test)
    return found


def test_a_worker_that_does_not_end_is_ended_after_the_longest_stop() -> None:
    assert stopped(HOW, {}, {"ends": 40}) == [TIME, None]


def test_a_worker_has_as_long_as_its_cap_of_closes_takes() -> None:
    how = HOW._replace(per_second=100)
    assert stopped(how, {"closes": 155, "ends": 165}, {"closes": 20, "ends": 25}) == [None, None]


def test_a_worker_that_does_not_end_after_its_last_close_is_ended() -> None:
    how = HOW._replace(per_second=100)
    late, early = stopped(how, {"closes": 155}, {"closes": 20})
    assert late is not None
    assert 155 + 10 < late <= 155 + 10 + 2 * GRACE + ANSWER_PATIENCE
    assert early == TIME
