"""Clients whose upgrade is being decided: what they send is held, and when they leave is told.

All of them wait in one selector, which is itself a descriptor for one task to wait for: a task
for each would cost more than all else that the server does for a handshake.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import anyio

from ..containment import Action, driven
from ..poller import READ, make_poller
from ..services import Service

#: What a client may send behind an upgrade request before it is answered.
HELD_BYTES = 64 * 1024


@dataclass(slots=True, eq=False)
class _Client:
    sock: socket.socket
    fd: int
    held: bytearray
    left: Callable[[], None]
    waits: bool = False


class ClientWatch(Service):
    """One for the whole process."""

    def __init__(self) -> None:
        self._poller = make_poller()
        self._watched: dict[int, _Client] = {}

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

    async def during(
        self,
        running: Coroutine[Any, Any, None],
        sock: socket.socket,
        held: bytearray,
        left: Callable[[], None],
    ) -> None:
        """Await `running`. Once that has to wait for something, add to `held` what the client
        sends, up to 64 KiB, and call `left` when it is gone.
        """
        client = _Client(sock, sock.fileno(), held, left)

        def step(action: Action, value: Any) -> Any:
            try:
                awaited = action(value)
            finally:
                del value  # see `driven`
            if not client.waits:
                self._begin(client)
            return awaited

        try:
            await driven(running, step)
        finally:
            self._end(client)

    def _begin(self, client: _Client) -> None:
        client.waits = True
        self._watched[client.fd] = client
        self._poller.register(client.fd, READ)

    def _end(self, client: _Client) -> None:
        if self._watched.get(client.fd) is client:
            del self._watched[client.fd]
            self._poller.unregister(client.fd)

    def _attend(self, client: _Client) -> None:
        try:
            data = client.sock.recv(HELD_BYTES - len(client.held))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.held += data
        if not data:
            self._end(client)
            client.left()
        elif len(client.held) >= HELD_BYTES:
            self._end(client)  # the kernel holds the rest, and lets the client wait
