"""Sessions that move from or to this process, and those who must not meet them on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Moving:
    """Whether sessions move at the moment. Several moves may go on at a time."""

    def __init__(self) -> None:
        self._moves = 0
        self._over = anyio.Event()
        self._rest = anyio.Lock()

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Sessions move while the block runs. It begins when nobody is `at_rest`."""
        async with self._rest:
            self._moves += 1
        try:
            yield
        finally:
            self._moves -= 1
            if not self._moves:
                self._over.set()
                self._over = anyio.Event()

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[None]:
        """No session moves while the block runs. Wait until that is so."""
        await self._rest.acquire()
        while self._moves:
            self._rest.release()
            await self._over.wait()
            await self._rest.acquire()
        try:
            yield
        finally:
            self._rest.release()
