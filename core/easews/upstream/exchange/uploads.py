"""Answers that come before a request was sent to its end, and what is left of the request then.

A server may answer early: to refuse an upload, or because it answers while it reads. So while a
body is sent, the server is listened to. All servers that are sent to wait in one poller, as the
clients do that wait for an answer: a task for each would cost more than all else.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import anyio
from anyio.abc import TaskGroup

from ...errors import MessageError
from ...net.poller import READ, make_poller
from ...net.wire import Wire, socket_of
from ...services import Service, Services
from .upload import Upload

log: logging.Logger = logging.getLogger("easews.upstream")


class Uploads(Service):
    """One for the whole process."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._poller = make_poller()
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._tasks: TaskGroup | None = None

    async def serve(self, ready: Callable[[], None]) -> None:
        """Listen until cancelled."""
        try:
            async with anyio.create_task_group() as self._tasks:
                ready()
                while True:
                    await anyio.wait_readable(self._poller.fileno())
                    for fd, _ in self._poller.poll(0, max(len(self._scopes), 1)):
                        self._tell(fd)
        finally:
            self._scopes.clear()
            self._poller.close()

    async def until_answer(self, upload: Upload, wire: Wire) -> None:
        """Send `upload`, until all is sent or something has come from the server. Raises what
        `Upload.send` does.
        """
        fd = wire.fileno()
        with anyio.CancelScope() as scope:
            self._scopes[fd] = scope
            self._poller.register(fd, READ)
            try:
                await upload.send(wire)
            finally:
                self._forget(fd)

    def go_on(self, upload: Upload, wire: Wire) -> Rest:
        """Send what is left of `upload` while its answer is read."""
        assert self._tasks is not None, "filters run after their services have started"
        rest = Rest(upload, wire)
        self._tasks.start_soon(rest.run)
        return rest

    def _tell(self, fd: int) -> None:
        scope = self._scopes.get(fd)
        self._forget(fd)
        if scope is not None:
            scope.cancel()

    def _forget(self, fd: int) -> None:
        if self._scopes.pop(fd, None) is not None:
            self._poller.unregister(fd)


class Rest:
    """What is left of an upload, on its way beside its answer."""

    def __init__(self, upload: Upload, wire: Wire) -> None:
        self._upload = upload
        self._wire = wire
        self._scope = anyio.CancelScope()
        self._over = anyio.Event()

    async def run(self) -> None:
        """Send it, until it is sent, fails or is stopped. Raises nothing of it."""
        try:
            with self._scope:
                await self._upload.send(self._wire)
        except MessageError:
            self._end_answer()  # a client that cannot be followed any further gets no more of it
        except OSError:
            pass  # the server takes no more: its answer says why
        except Exception:
            log.exception("an upload has failed beside its answer")
            self._end_answer()
        finally:
            self._over.set()

    async def stop(self) -> None:
        """Send no more of it."""
        self._scope.cancel()
        await self._over.wait()

    def _end_answer(self) -> None:
        sock = socket_of(self._wire)  # TLS would first wait for room
        with suppress(OSError):  # it has ended by itself
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
