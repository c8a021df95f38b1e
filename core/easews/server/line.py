"""What a filter may ask of the engine while it is at a request: see `Context.inform` and `rest`."""

from __future__ import annotations

from math import inf

import anyio

from ..http import Headers
from .writer import ResponseWriter


class RequestLine:
    """`rests`: the flow's deadline is suspended."""

    __slots__ = ("_left", "_scope", "_timed", "_writer", "rests")

    def __init__(self, scope: anyio.CancelScope, writer: ResponseWriter, seconds: float) -> None:
        self._scope = scope
        self._writer = writer
        self._left = seconds
        self._timed = False
        self.rests: bool = False

    def start(self) -> bool:
        """Let the deadline run from now on, unless it is suspended."""
        if not (self.rests or self._timed):
            self._timed = True
            self._scope.deadline = anyio.current_time() + self._left
        return True

    def rest(self) -> None:
        """Suspend the deadline."""
        self.rests = True
        if self._timed:
            self._timed = False
            self._left = self._scope.deadline - anyio.current_time()
            self._scope.deadline = inf

    def go_on(self) -> None:
        """Let it run again, with the time that was left."""
        self.rests = False
        self.start()

    async def inform(self, status: int, headers: Headers) -> None:
        """Send an interim answer."""
        await self._writer.inform(status, headers)
