"""Listening: bind what the config says, accept, and serve each connection in a task."""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..addresses import Address
from ..config.model import ServerSpec
from ..errors import ListenError
from ..net.sockets import configure
from ..pipeline.isolation import isolated, must_go_on
from .arrival import Arrival
from .clients import ClientCounts
from .connection import HttpConnection
from .site import Site

log: logging.Logger = logging.getLogger("easews.server")

#: How many connections to accept before everybody else gets a turn.
ACCEPTS_PER_TURN = 16
#: How many tasks may wait for a connection to serve.
IDLE_TASKS = 64
#: Seconds to wait when the process or the system is out of descriptors.
BREATHER = 0.5
_BACKLOG = 1024
#: Bound to one of these, a socket accepts connections to any address of the machine.
_ANY = ("0.0.0.0", "::")

_REMEDIES = {
    errno.EADDRINUSE: "another process listens there; stop it, or choose another port",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one",
    errno.EADDRNOTAVAIL: "it is no address of this machine; leave address out for all that are",
    socket.EAI_NONAME: "write an IP, or a name that this machine can look up",
}


def bind(spec: ServerSpec) -> list[socket.socket]:
    """The listening sockets of a server. ListenError when one cannot be had."""
    socks: list[socket.socket] = []
    try:
        if not spec.address and socket.has_dualstack_ipv6():
            socks.append(_listen(socket.AF_INET6, ("::", spec.port), dual=True))
            return socks
        found = socket.getaddrinfo(
            spec.address or "0.0.0.0", spec.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            socks.append(_listen(family, address))
    except OSError as error:
        for sock in socks:
            sock.close()
        where = Address(spec.address or "*", spec.port)
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0)
        place = f"{spec.place}: " if spec.place else ""
        text = f"{place}{spec.name} cannot listen on {where}: {reason}"
        raise ListenError(f"{text}; {remedy}" if remedy else text) from None
    return socks


def _listen(family: int, address: Any, dual: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        configure(sock)  # accepted sockets inherit TCP_NODELAY
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


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
    put in its place.
    """

    def __init__(self, socks: list[socket.socket], site: Site) -> None:
        self._socks = socks
        self.addresses: list[Address] = [Address(*sock.getsockname()[:2]) for sock in socks]
        self.site = site
        self._open = 0
        self._clients = ClientCounts()
        self._idle: list[_Place] = []
        self._room = anyio.Event()
        self._accepting = anyio.CancelScope()
        self._serving = anyio.CancelScope()

    async def serve(self) -> None:
        """Serve until `stop_accepting`, and then until the last connection has ended or `cut`."""
        with self._serving:
            async with anyio.create_task_group() as connections:
                try:
                    with self._accepting:
                        async with anyio.create_task_group() as loops:
                            for sock in self._socks:
                                loops.start_soon(self._accept, sock, connections)
                finally:
                    for sock in self._socks:
                        sock.close()

    def stop_accepting(self) -> None:
        """Take no new connections; those that are open end after the request they are at."""
        self.site.stopping = True
        self._accepting.cancel()
        for place in self._idle:
            place.give(None)
        self._idle.clear()

    def cut(self) -> None:
        """End the connections as they are. (Those that were handed over are not ours.)"""
        self._accepting.cancel()
        self._serving.cancel()

    async def _accept(self, listening: socket.socket, connections: TaskGroup) -> None:
        bound = Address(*listening.getsockname()[:2])
        here = None if bound.host in _ANY else bound
        while True:
            await anyio.wait_readable(listening)
            for _ in range(ACCEPTS_PER_TURN):
                while self._open >= self.site.spec.max_connections:
                    if self._room.is_set():
                        self._room = anyio.Event()  # one for all sockets that wait for it
                    await self._room.wait()
                try:
                    sock, address = listening.accept()
                except (BlockingIOError, ConnectionError):
                    break
                except OSError as error:
                    log.error("cannot accept: %s", error)  # out of descriptors or memory
                    await anyio.sleep(BREATHER)
                    break
                self._open += 1
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
        self._room.set()


def _address(name: tuple[Any, ...]) -> Address:
    """What a socket reports. One for both families reports 127.0.0.1 as ::ffff:127.0.0.1."""
    host: str = name[0]
    return Address(host.removeprefix("::ffff:") if "." in host else host, name[1])
