"""What is asked of several workers, when one of them ends or refuses meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from easews.operate.control import NotAvailable, Refused
from easews.operate.workers.calls import Gone
from easews.operate.workers.fanout import WorkersControl
from easews.upstream import drained
from easews.upstream.drained import drained_servers

URL, IDENTITY = "ws://127.0.0.1:9001", "plain 127.0.0.1 9001 "
FRAME = {"from": "client"}


@pytest.fixture(autouse=True)
def nothing_drained() -> Iterator[None]:
    yield
    drained._since.clear()


class FakeWorker:
    """A worker that answers each question in the same way, or raises this."""

    def __init__(self, number: int, answer: Any, taps: Exception | None = None) -> None:
        self.number, self.pid = number, 100 + number
        self._answer = answer
        self._taps = taps
        self.drained: list[str] = []
        self.is_silent = False

    @property
    def calls(self) -> FakeWorker:
        return self

    async def call(self, name: str, *args: Any) -> Any:
        self.drained = drained_servers()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def items(self, name: str, *args: Any) -> AsyncGenerator[Any, None]:
        yield FRAME
        if self._taps is not None:
            raise self._taps


def control_of(*workers: FakeWorker) -> WorkersControl:
    class Fakes:
        def reachable(self) -> list[FakeWorker]:
            return [*workers]

        state = "ready"

    fakes: Any = Fakes()
    none: Any = None
    return WorkersControl(fakes, none)


async def tapped(control: WorkersControl) -> list[Any]:
    return [frame async for frame in control.tap("1-1")]


async def test_a_tap_ends_with_the_worker_of_its_session() -> None:
    gone = Gone("worker 2 has ended")
    frames = await tapped(control_of(FakeWorker(1, None), FakeWorker(2, {}, gone)))
    end = {"by": "proxy", "code": 1006, "cause": "worker 2 has ended"}
    assert frames == [FRAME, {"ended": end}]


async def test_why_a_worker_refuses_a_tap_is_told() -> None:
    refuses = FakeWorker(1, {}, NotAvailable("`tap` of `admin` is off in the config"))
    with pytest.raises(NotAvailable, match="is off in the config"):
        await tapped(control_of(refuses))


async def test_a_session_that_no_worker_has_cannot_be_tapped() -> None:
    with pytest.raises(Refused, match="no session with this id"):
        await tapped(control_of(FakeWorker(1, None), FakeWorker(2, Gone("worker 2 has ended"))))


async def test_a_server_is_drained_here_before_the_workers_are_asked() -> None:
    worker, gone = FakeWorker(1, 4), FakeWorker(2, Gone("worker 2 has ended"))
    assert await control_of(worker, gone).drain_server(URL) == 4
    assert worker.drained == drained_servers() == [IDENTITY]


async def test_a_server_that_no_worker_knows_is_not_drained() -> None:
    with pytest.raises(Refused):
        await control_of(FakeWorker(1, Refused("no pool has it"))).drain_server(URL)
    assert drained_servers() == []


async def test_one_that_was_drained_stays_so_when_that_is_refused() -> None:
    await control_of(FakeWorker(1, 0)).drain_server(URL)
    with pytest.raises(Refused):
        await control_of(FakeWorker(1, Refused("no pool has it"))).drain_server(URL)
    assert drained_servers() == [IDENTITY]


async def test_a_worker_that_gives_no_sign_of_life_is_not_asked() -> None:
    answers, silent = FakeWorker(1, 2), FakeWorker(2, 3)
    silent.is_silent = True
    control = control_of(answers, silent)
    assert await control.close({"route": "/a"}, 1000, "") == 2
    assert await control.state() == "ready"
    with pytest.raises(NotAvailable, match="none answers"):
        await control_of(silent).close({"route": "/a"}, 1000, "")
    with pytest.raises(NotAvailable, match="none answers"):
        await control_of(silent).state()
