"""A function that is called whenever a descriptor is readable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint


async def whenever_readable(fd: int, act: Callable[[], bool]) -> None:
    """Call `act` whenever `fd` is readable, until cancelled.

    When `act` returns False it has not come to its end: it is called again after everybody else
    had a turn. It must not wait. What it raises is raised here.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio
        await _wait_and_call(fd, act)
    else:
        await _Reader(loop, fd, act).run()


async def _wait_and_call(fd: int, act: Callable[[], bool]) -> None:
    while True:
        await anyio.wait_readable(fd)
        while not act():
            await checkpoint()


class _Reader:
    """On asyncio the event loop calls `act` by itself: a task that waits for each event, and
    registers the descriptor each time, takes twice the time of relaying a small message.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, act: Callable[[], bool]) -> None:
        self._loop = loop
        self._fd = fd
        self._act = act
        self._again: asyncio.Handle | None = None
        self._failed: asyncio.Future[None] = loop.create_future()

    async def run(self) -> None:
        self._loop.add_reader(self._fd, self._readable)
        try:
            await self._failed
        finally:
            self._stop()

    def _readable(self) -> None:
        if self._again is None:
            self._call()

    def _call(self) -> None:
        self._again = None
        try:
            if not self._act():
                self._again = self._loop.call_soon(self._call)
        except BaseException as error:
            self._stop()
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            if not self._failed.done():
                self._failed.set_exception(error)

    def _stop(self) -> None:
        self._loop.remove_reader(self._fd)
        if self._again is not None:
            self._again.cancel()
            self._again = None
