"""Clients whose upgrade is being decided: what they send is held, and when they leave is told.

All of them wait in one selector, which is itself a descriptor for one task to wait for: a task
for each would cost more than all else that the server does for a handshake.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

import anyio

from ..poller import READ, make_poller
from ..services import Service

#: What a client may send behind an upgrade request before it is answered.
HELD_BYTES = 64 * 1024


class _Watched:
    """A context manager: the client is watched until the block is left."""

    __slots__ = ("_watch", "fd", "held", "left", "sock")

    def __init__(
        self, watch: ClientWatch, sock: socket.socket, held: bytearray, left: Callable[[], None]
    ) -> None:
        self._watch = watch
        self.fd = sock.fileno()
        self.sock = sock
        self.held = held
        self.left = left

    def __enter__(self) -> None:
        self._watch.add(self)

    def __exit__(self, *error: object) -> None:
        self._watch.forget(self)


class ClientWatch(Service):
    """One for the whole process."""

    def __init__(self) -> None:
        self._poller = make_poller()
        self._watched: dict[int, _Watched] = {}

    async def serve(self, ready: Callable[[], None]) -> None:
        """Watch until cancelled."""
        ready()
        try:
            while True:
                await anyio.wait_readable(self._poller.fileno())
                for fd, _ in self._poller.poll(0, max(len(self._watched), 1)):
                    if fd in self._watched:
                        self._attend(self._watched[fd])
        finally:
            self._watched.clear()
            self._poller.close()

    def watching(
        self, sock: socket.socket, held: bytearray, left: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """Add to `held` what the client sends, up to 64 KiB; call `left` when it is gone."""
        return _Watched(self, sock, held, left)

    def _attend(self, watched: _Watched) -> None:
        try:
            data = watched.sock.recv(HELD_BYTES - len(watched.held))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        watched.held += data
        if not data:
            self.forget(watched)
            watched.left()
        elif len(watched.held) >= HELD_BYTES:
            self.forget(watched)  # the kernel holds the rest, and lets the client wait

    def add(self, watched: _Watched) -> None:
        self._watched[watched.fd] = watched
        self._poller.register(watched.fd, READ)

    def forget(self, watched: _Watched) -> None:
        if self._watched.get(watched.fd) is watched:
            del self._watched[watched.fd]
            self._poller.unregister(watched.fd)
