"""Clients that wait for an answer: what they send is held, and when they leave is told.

They are those whose upgrade is being decided, and those whose answer comes in pieces. A client
that ends its side of the connection has left, as in nginx: hardly any program does that and
still reads, and otherwise a browser that is gone would be noticed at the next byte for it.

All of them wait in one selector, which is itself a descriptor for one task to wait for: a task
for each would cost more than all else that the server does for a handshake.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import anyio

from ..net.poller import READ, WRITE, make_poller
from ..net.wire import Wire, pending
from ..pipeline.isolation import Action, driven
from ..services import Service, Services
from .reader import RequestReader

#: What a client may send behind a request before that is answered. With more it is not watched
#: until that is used up: the kernel holds the rest, and lets the client wait.
HELD_BYTES = 64 * 1024


def _nothing() -> bool:
    return True


@dataclass(slots=True, eq=False)
class _Client:
    wire: Wire
    fd: int
    reader: RequestReader
    left: Callable[[], object]
    flush: Callable[[], bool]
    passes: bool = False
    waits: bool = False


class ClientWatch(Service):
    """One for the whole process."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._poller = make_poller()
        self._watched: dict[int, _Client] = {}

    async def serve(self, ready: Callable[[], None]) -> None:
        """Watch until cancelled."""
        ready()
        try:
            while True:
                await anyio.wait_readable(self._poller.fileno())
                for fd, events in self._poller.poll(0, max(len(self._watched), 1)):
                    if fd in self._watched:
                        self._attend(self._watched[fd], events)
        finally:
            self._watched.clear()
            self._poller.close()

    async def during(
        self,
        running: Coroutine[Any, Any, None],
        wire: Wire,
        reader: RequestReader,
        left: Callable[[], object],
        flush: Callable[[], bool] = _nothing,
    ) -> None:
        """Await `running`. Once that has to wait for something, add to `reader.received` what the
        client sends, up to 64 KiB, and call `left` when it ends its side: then it is gone, unless
        that returns False, and it is watched on. (One pass of the event loop is no waiting: a
        handshake with a server near by takes no more.)

        `flush` is called at that moment, and whenever the client takes more until it says that
        all has gone.
        """
        client = _Client(wire, wire.fileno(), reader, left, flush)

        def step(action: Action, value: Any) -> Any:
            try:
                awaited = action(value)
            finally:
                del value  # see `driven`
            if not client.waits and len(reader.received) < HELD_BYTES:
                # asyncio has a task that yields None run again in its next pass.
                if awaited is None and not client.passes:
                    client.passes = True
                else:
                    self._begin(client)
            return awaited

        try:
            await driven(running, step)
        finally:
            self._end(client)

    def _begin(self, client: _Client) -> None:
        client.waits = True
        self._watched[client.fd] = client
        # Of pending bytes no poll tells: that there is room is told soon, and then they are seen.
        idles = client.flush() and not pending(client.wire)
        self._poller.register(client.fd, READ if idles else READ | WRITE)

    def _end(self, client: _Client) -> None:
        if self._watched.get(client.fd) is client:
            del self._watched[client.fd]
            self._poller.unregister(client.fd)

    def _attend(self, client: _Client, events: int) -> None:
        if events & WRITE and client.flush():
            self._poller.modify(client.fd, READ)
        if (events & ~WRITE or pending(client.wire)) and not client.reader.waits:
            self._hold(client)

    def _hold(self, client: _Client) -> None:
        """Add what has come to what is held."""
        self._hold_some(client)
        while pending(client.wire) and self._watched.get(client.fd) is client:
            self._hold_some(client)

    def _hold_some(self, client: _Client) -> None:
        held = client.reader.received
        if len(held) >= HELD_BYTES:  # until there is room again
            self._end(client)
            client.waits = False
            return
        try:
            data = client.wire.recv(HELD_BYTES - len(held))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        held += data
        if not data:
            self._end(client)
            client.waits = client.left() is not False
