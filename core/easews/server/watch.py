"""Clients whose upgrade is being decided: what they send is held, and when they leave is told.

All of them wait in one selector, which is itself a descriptor for one task to wait for: a task
for each would cost more than all else that the server does for a handshake.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from ..services import Service

#: What a client may send behind an upgrade request before it is answered.
HELD_BYTES = 64 * 1024


@dataclass(slots=True, eq=False)
class _Watched:
    sock: socket.socket
    held: bytearray
    left: Callable[[], None]
    registered: bool = True


class ClientWatch(Service):
    """One for the whole process."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Watch until cancelled."""
        ready()
        try:
            while True:
                await anyio.wait_readable(self._selector.fileno())
                for key, _ in self._selector.select(0):
                    self._attend(key.data)
        finally:
            self._selector.close()

    @contextmanager
    def watching(
        self, sock: socket.socket, held: bytearray, left: Callable[[], None]
    ) -> Iterator[None]:
        """Add to `held` what the client sends, up to 64 KiB; call `left` when it is gone."""
        watched = _Watched(sock, held, left)
        self._selector.register(sock, selectors.EVENT_READ, watched)
        try:
            yield
        finally:
            self._forget(watched)

    def _attend(self, watched: _Watched) -> None:
        try:
            data = watched.sock.recv(HELD_BYTES - len(watched.held))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        watched.held += data
        if not data:
            self._forget(watched)
            watched.left()
        elif len(watched.held) >= HELD_BYTES:
            self._forget(watched)  # the kernel holds the rest, and lets the client wait

    def _forget(self, watched: _Watched) -> None:
        if watched.registered:
            watched.registered = False
            if self._selector.get_map() is not None:  # else it was closed: we are stopping
                self._selector.unregister(watched.sock)
