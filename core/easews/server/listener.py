"""Listening: accept connections, and serve each in a task."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..addresses import UNIX_PEER, Address
from ..net.sockets import bound_address
from ..pipeline.isolation import isolated, must_go_on
from .arrival import Arrival, counted
from .binding import UnixListener
from .clients import ClientCounts
from .connection import HttpConnection
from .sharing import Share
from .site import Site

log: logging.Logger = logging.getLogger("easews.server")

#: How many connections to accept before everybody else gets a turn.
ACCEPTS_PER_TURN = 16
#: How many tasks may wait for a connection to serve.
IDLE_TASKS = 64
#: Seconds to wait when the process or the system is out of descriptors and none is returned.
BREATHER = 0.5
#: Bound to one of these, a socket accepts connections to any address of the machine.
_ANY = ("0.0.0.0", "::")

#: An accepted connection. The plain case has no more steps than it needs.
Served = HttpConnection | Arrival


class _Place:
    """Where a task waits for its next connection, or for None: then it ends."""

    __slots__ = ("connection", "filled")

    def __init__(self) -> None:
        self.filled = anyio.Event()
        self.connection: Served | None = None

    def give(self, connection: Served | None) -> None:
        self.connection = connection
        self.filled.set()


class Listener:
    """Serves `site` on bound sockets, at `addresses`, until it is stopped; another site may be
    put in its place. With a `share` other processes accept from the same sockets.
    """

    def __init__(self, socks: list[socket.socket], site: Site, share: Share | None = None) -> None:
        self._socks = socks
        self._share = share
        self.addresses: list[Address] = [bound_address(sock) for sock in socks]
        self.site: Site = site
        self._open = 0
        self._clients = ClientCounts()
        self._idle: list[_Place] = []
        self._room = anyio.Event()
        self._resting = False
        self._accepting = anyio.CancelScope()
        self._pause_over = anyio.Event()
        self._pause_over.set()
        self._serving = anyio.CancelScope()

    @property
    def open(self) -> int:
        """How many connections are open, those of sessions included."""
        return self._open

    async def serve(self) -> None:
        """Serve until `stop_accepting`, and then until the last connection has ended or `cut`."""
        with self._serving:
            async with anyio.create_task_group() as connections:
                try:
                    while not self.site.stopping:
                        await self._accept_all(connections)
                        await self._pause_over.wait()
                finally:
                    for sock in self._socks:
                        sock.close()

    async def _accept_all(self, connections: TaskGroup) -> None:
        with self._accepting:
            async with anyio.create_task_group() as loops:
                for sock in self._socks:
                    loops.start_soon(self._accept, sock, connections)

    def pause(self) -> None:
        """Let another process accept from these sockets: this one does not until `go_on`. A
        connection that is open ends with its next answer, unless that opens a session.
        """
        self._pause_over = anyio.Event()
        self._accepting.cancel()
        self.site.leaving = True

    def go_on(self) -> None:
        """Accept again: the other process does not."""
        if self.site.leaving:
            self.site.leaving = False
            self._accepting = anyio.CancelScope()
            self._pause_over.set()

    def leave_sockets(self) -> None:
        """They are another process's from now on: what belongs to them stays when they are closed
        here.
        """
        for sock in self._socks:
            if isinstance(sock, UnixListener):
                sock.leave_file()

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets that it accepts from."""
        return self._socks

    def adopt(self, sock: socket.socket, client: str) -> Callable[[], None]:
        """Count a connection that another process has accepted. Call what is returned when it has
        ended. `client` is its client's address, behind proxies. OSError, and nothing is counted,
        when it has ended already.
        """
        spec, ended = self.site.spec, self._ended
        if spec.max_connections_per_client is not None:
            host = client if spec.proxy_protocol else _address(sock.getpeername()).host
            ended = counted(self._clients, host, spec.trusted_proxies, ended)
        self._open += 1
        if self._share is not None:
            self._share.count(1)
        return ended

    def serve_from_now_on(self, site: Site) -> None:
        """Put `site` in the place of the one that is served."""
        before, self.site = self.site.spec, site
        self._room.set()  # there may be room for more than before
        if site.spec.socket_mode != before.socket_mode:
            for sock in self._socks:
                if isinstance(sock, UnixListener):
                    sock.set_mode(site.spec.socket_mode)

    def stop_accepting(self) -> None:
        """Take no new connections; those that are open end after the request they are at."""
        self.site.stopping = True
        self._accepting.cancel()
        self._pause_over.set()
        for place in self._idle:
            place.give(None)
        self._idle.clear()

    def cut(self) -> None:
        """End the connections as they are. (Those that were handed over are not ours.)"""
        self._accepting.cancel()
        self._serving.cancel()

    async def _accept(self, listening: socket.socket, connections: TaskGroup) -> None:
        bound = bound_address(listening)
        here = None if bound.host in _ANY else bound
        while True:
            if not self._resting:  # else the last one may be accepted by now, and nobody told
                await anyio.wait_readable(listening)
            most = ACCEPTS_PER_TURN
            if self._share is not None:
                most = min(most, await self._share.turn())
            for _ in range(most):
                while self._open >= self.site.spec.max_connections:
                    await self._room_again()
                try:
                    sock, address = listening.accept()
                except BlockingIOError:
                    self._has_rested()
                    break
                except ConnectionError:
                    break
                except OSError as error:  # out of descriptors or memory
                    await self._rest(error)
                    break
                self._open += 1
                if self._share is not None:
                    self._share.count(1)
                sock.setblocking(False)
                local = here or _address(sock.getsockname())
                peer = _address(address)
                connection: Served
                if self.site.plain:
                    connection = HttpConnection(sock, peer, local, self._site, self._ended)
                else:
                    connection = Arrival(sock, peer, local, self._site, self._ended, self._clients)
                if self._idle:
                    self._idle.pop().give(connection)
                else:
                    connections.start_soon(self._work, connection)
            await checkpoint()

    async def _rest(self, error: OSError) -> None:
        """Let those wait that knock, until a connection has ended or for a while."""
        if not self._resting:
            self._resting = True
            log.error(
                "%s cannot accept connections: %s (%d are open); new ones wait",
                *(self.site.spec.name, error.strerror, self._open),
            )
        with anyio.move_on_after(BREATHER):
            await self._room_again()

    def _has_rested(self) -> None:
        """Nobody knocks any more."""
        if self._resting:
            self._resting = False
            log.warning("%s has accepted all connections that waited", self.site.spec.name)

    async def _room_again(self) -> None:
        """Wait until a connection has ended, or more are allowed."""
        if self.site.idle is not None:
            self.site.idle.end_one()
        if self._room.is_set():
            self._room = anyio.Event()  # one for all sockets that wait for it
        with anyio.move_on_after(inf if self.site.idle is None else BREATHER):
            await self._room.wait()

    async def _work(self, connection: Served | None) -> None:
        """Serve this connection, and then others: a task for each would cost more than its I/O."""
        while connection is not None:
            await isolated(connection.serve())
            connection = await self._next()

    async def _next(self) -> Served | None:
        if self.site.stopping or len(self._idle) >= IDLE_TASKS:
            return None
        place = _Place()
        self._idle.append(place)
        try:
            await place.filled.wait()
        except BaseException as error:
            if must_go_on(error):
                raise
            # What a filter has left behind cancels its task: then this is no task for others.
            with suppress(ValueError):
                self._idle.remove(place)
        return place.connection

    def _site(self) -> Site:
        return self.site

    def _ended(self) -> None:
        self._open -= 1
        if self._share is not None:
            self._share.count(-1)
        self._room.set()


def _address(name: Any) -> Address:
    """What a socket reports. One for both families reports 127.0.0.1 as ::ffff:127.0.0.1, and
    that of a unix client has no name, or one that anybody could have taken.
    """
    if not isinstance(name, tuple):
        return UNIX_PEER
    host: str = name[0]
    return Address(host.removeprefix("::ffff:") if "." in host else host, name[1])
