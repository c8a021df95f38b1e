"""Connections that stay open between two requests: one service for the process.

They belong to a server, by its `Standing`, and not to a pool: two filters and two generations of
a config that name the same server use the same connections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from time import monotonic
from typing import ClassVar

import anyio

from ...net.wire import Wire
from ...services import Service, Services
from ..servers import Standing
from .keeping import KeepLimits, Shelf, idle_time
from .uploads import Uploads

#: Seconds between two looks for connections whose time is over.
SWEEP = 1.0


class KeptConnections(Service):
    """The open connections that no request uses.

    uploads  the service that requests with a body need besides
    """

    needs: ClassVar[Sequence[type[Service]]] = (Uploads,)

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.uploads: Uploads = services[Uploads]
        self._shelf: Shelf[Wire] = Shelf()
        self._any = anyio.Event()

    def __len__(self) -> int:
        return len(self._shelf)

    def take(self, standing: Standing) -> Wire | None:
        """A connection to the server that is still open, or None."""
        while (wire := self._shelf.take(standing)) is not None:
            if _is_silent(wire):
                return wire
            wire.close()
        return None

    def give(self, standing: Standing, wire: Wire, keep_alive: str, *, limits: KeepLimits) -> None:
        """Keep `wire`, on which the server waits for the next request. `keep_alive` is what it
        says about that (RFC 2068 §19.7.1), empty for nothing.
        """
        idle = idle_time(keep_alive, limits.idle) if keep_alive else limits.idle
        for old in self._shelf.put(standing, wire, monotonic(), limits, idle):
            old.close()
        self._any.set()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Close connections in time, until cancelled; then all that are left."""
        ready()
        try:
            while True:
                await self._any.wait()
                await anyio.sleep(SWEEP)
                self._close_expired(monotonic())
                if not self._shelf:
                    self._any = anyio.Event()
        finally:
            self._close_expired(inf)

    def _close_expired(self, now: float) -> None:
        for wire in self._shelf.expired(now):
            wire.close()


def _is_silent(wire: Wire) -> bool:
    """Whether the server neither ended the connection nor sent what nobody asked for.

    Over TLS it may have sent session tickets, which count as nothing.
    """
    try:
        wire.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
