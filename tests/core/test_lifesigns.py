"""A worker is asked for signs of life, and ended when it gives none."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from easews.operate.workers.calls import Gone
from easews.operate.workers.lifesigns import end_when_it_hangs
from easews.upstream import drained
from easews.upstream.drained import drain

LATE, ENDED = "worker 3 has not answered for 0.01 s", "worker 3 is ended: it has not answered"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    monkeypatch.setattr("easews.operate.workers.supervision.SIGN_EVERY", 0.01)
    monkeypatch.setattr("easews.operate.workers.supervision.MOST_SILENT", 0.05)
    monkeypatch.setattr("easews.operate.workers.lifesigns._LAST_WORDS", 0.01)
    with caplog.at_level(logging.INFO, "easews"):
        yield
    drained._since.clear()


class FakeProcess:
    """A worker that answers once `awake` is set."""

    number = 3

    def __init__(self) -> None:
        self.awake = anyio.Event()
        self.asked: list[Any] = []
        self.ends: list[str] = []
        self._was_asked = anyio.Event()
        self.is_silent = False

    @property
    def calls(self) -> FakeProcess:
        return self

    async def call(self, *question: Any) -> None:
        self.asked.append(question)
        self._was_asked.set()
        await self.awake.wait()

    async def has_been_asked(self, times: int) -> None:
        while len(self.asked) < times:
            self._was_asked = anyio.Event()
            await self._was_asked.wait()

    def abort(self) -> None:
        self.ends.append("abort")

    def kill(self) -> None:
        self.ends.append("kill")


async def test_one_that_hangs_is_asked_once_and_ended(caplog: pytest.LogCaptureFixture) -> None:
    process: Any = FakeProcess()
    with anyio.fail_after(30):
        await end_when_it_hangs(process)
    assert process.ends == ["abort", "kill"]
    assert len(process.asked) == 1
    assert process.is_silent
    assert LATE in caplog.text
    assert ENDED in caplog.text


async def test_one_that_is_late_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easews.operate.workers.supervision.MOST_SILENT", 60.0)
    process: Any = FakeProcess()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_when_it_hangs, process)
            await process.has_been_asked(1)
            while LATE not in caplog.text:
                await anyio.wait_all_tasks_blocked()
            process.awake.set()
            await process.has_been_asked(3)
            tasks.cancel_scope.cancel()
    assert caplog.text.count("worker 3 answers again") == 1
    assert process.ends == []
    assert not process.is_silent


async def test_it_is_told_which_servers_are_drained() -> None:
    process: Any = FakeProcess()
    process.awake.set()
    drain("ws://127.0.0.1:9001")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_when_it_hangs, process)
            await process.has_been_asked(1)
            tasks.cancel_scope.cancel()
    assert process.asked[0] == ("alive", ["plain 127.0.0.1 9001 "])


async def test_a_channel_that_is_closed_is_silent_as_well() -> None:
    class Closed(FakeProcess):
        async def call(self, *question: Any) -> None:
            raise Gone("worker 3 has ended")

    process: Any = Closed()
    await end_when_it_hangs(process)
    assert process.ends == ["abort", "kill"]
