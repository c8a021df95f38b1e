"""The frames of a session, told to whoever looks on."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import anyio
import pytest

from easews import Ending, Frame, Opening, Sessions
from easews.operate.control import NotAvailable
from easews.operate.tapping import FrameQueue, tapped
from easews.testing import OpenSession

TEXT = Frame(at=5.0, sender="client", opcode=1, fin=True, size=2, masked=True, payload="hi")
CLOSE = Frame(at=6.0, sender="backend", opcode=8, fin=True, size=2, code=1000)


def test_a_frame_is_told_as_plain_values() -> None:
    queue = FrameQueue()
    queue.put(TEXT)
    queue.put(CLOSE)
    text, close = queue._waiting
    assert text == {
        "at": 5.0,
        "from": "client",
        "type": "text",
        "opcode": 1,
        "fin": True,
        "size": 2,
        "compressed": False,
        "masked": True,
        "payload": "hi",
    }
    assert (close["type"], close["code"], close["payload"]) == ("close", 1000, None)


async def test_what_nobody_takes_in_time_is_counted_as_lost() -> None:
    queue = FrameQueue(most=2)
    for _ in range(5):
        queue.put(TEXT)
    assert [(await queue.take()).get("lost") for _ in range(3)] == [None, None, 3]
    queue.put(CLOSE)
    assert (await queue.take())["type"] == "close"


async def test_a_tap_ends_with_the_session() -> None:
    sessions, session = Sessions(), OpenSession(Opening("1"))
    sessions.opened(session)
    seen: list[dict[str, Any]] = []

    async def look() -> None:
        seen.extend([value async for value in tapped(session, sessions, payload=False)])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        await anyio.wait_all_tasks_blocked()
        session.taps[0](TEXT)
        await anyio.wait_all_tasks_blocked()
        sessions.ended(session, Ending("client", 1000, "closed", 1.0))
    assert seen[0] == {"tapping": "1", "shows": "headers"}
    assert seen[1]["size"] == 2
    assert seen[2:] == [{"ended": {"by": "client", "code": 1000, "cause": "closed"}}]
    assert (session.taps, sessions.on_end) == ([], [])


async def test_a_tap_ends_when_the_session_goes_on_in_another_process() -> None:
    sessions, session, other = Sessions(), OpenSession(Opening("1")), OpenSession(Opening("2"))
    sessions.opened(session)
    sessions.opened(other)
    frames = tapped(session, sessions, payload=False)
    await anext(frames)
    sessions.forget(other)
    sessions.forget(session)
    assert [value async for value in frames] == [{"moved": "1"}]
    assert (session.taps, sessions.on_move) == ([], [])


async def test_a_tap_ends_with_whoever_looks_on() -> None:
    sessions, session = Sessions(), OpenSession(Opening("1"))
    sessions.opened(session)
    frames = tapped(session, sessions, payload=False)
    async with aclosing(frames), anyio.create_task_group() as tasks:
        await anext(frames)
        tasks.start_soon(anext, frames)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert (session.taps, sessions.on_end) == ([], [])


async def test_a_session_that_cannot_be_tapped_is_told() -> None:
    class Untold(OpenSession):
        def tap(self, tell: Any, payload: bool = False) -> None:  # type: ignore[override]
            """It has no frames."""

    with pytest.raises(NotAvailable):
        await anext(tapped(Untold(Opening("1")), Sessions(), payload=False))
