"""The frames of a session as plain values, as fast as they are read.

First ``{"tapping": id, "shows": "headers" or "payload"}``. Then frames, with ``{"lost": n}`` where
so many were told faster than they were taken. Last ``{"ended": {...}}`` when the session is over,
or ``{"moved": id}`` when it goes on in a process that has taken over from this one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import anyio

from ..sessions import Ending, Frame, Session, Sessions
from .control import NotAvailable

#: How many frames may wait to be taken.
MOST_WAITING = 1000

_TYPES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}


class FrameQueue:
    """What has been told, and not been taken yet."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting: deque[dict[str, Any]] = deque()
        self._came = anyio.Event()

    def put(self, frame: Frame) -> None:
        """Add a frame, or count it as lost where too many wait."""
        waiting = self._waiting
        if len(waiting) < self._most:
            self._add(plain(frame))
        elif "lost" in waiting[-1]:
            waiting[-1]["lost"] += 1
        else:
            self._add({"lost": 1})

    def end(self, ending: Ending) -> None:
        """Add that the session is over."""
        self._add({"ended": {"by": ending.by, "code": ending.code, "cause": ending.cause}})

    def move(self, session: Session) -> None:
        """Add that it goes on in another process."""
        self._add({"moved": session.opening.id})

    def _add(self, value: dict[str, Any]) -> None:
        self._waiting.append(value)
        self._came.set()

    async def take(self) -> dict[str, Any]:
        """The value that has waited longest; wait for one."""
        while not self._waiting:
            self._came = anyio.Event()
            await self._came.wait()
        return self._waiting.popleft()


async def tapped(
    session: Session, sessions: Sessions, payload: bool
) -> AsyncGenerator[dict[str, Any], None]:
    """The frames of `session` from now on, with their text where `payload` is true. NotAvailable
    when its frames cannot be told.
    """
    queue = FrameQueue()

    def ended(other: Session, ending: Ending) -> None:
        if other is session:
            queue.end(ending)

    def moved(other: Session) -> None:
        if other is session:
            queue.move(session)

    untap = session.tap(queue.put, payload)
    if untap is None:
        raise NotAvailable("the frames of this session cannot be seen")
    sessions.on_end.append(ended)
    sessions.on_move.append(moved)
    try:
        yield {"tapping": session.opening.id, "shows": "payload" if payload else "headers"}
        while True:
            value = await queue.take()
            yield value
            if "ended" in value or "moved" in value:
                return
    finally:
        sessions.on_end.remove(ended)
        sessions.on_move.remove(moved)
        untap()


def plain(frame: Frame) -> dict[str, Any]:
    """A frame as JSON has it."""
    told = {
        "at": frame.at,
        "from": frame.sender,
        "type": _TYPES.get(frame.opcode, "reserved"),
        "opcode": frame.opcode,
        "fin": frame.fin,
        "size": frame.size,
        "compressed": frame.compressed,
        "masked": frame.masked,
        "payload": frame.payload,
    }
    return told if frame.opcode != 8 else {**told, "code": frame.code}
