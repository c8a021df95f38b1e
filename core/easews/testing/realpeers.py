"""Real clients and backends: their handshakes, and how those go wrong."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Event, RejectConnection, Request
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.utilities import RemoteProtocolError

from ..addresses import Address
from ..http import Headers
from ..net.sockets import configure, connect
from ..net.waiting import receive, send_all
from .running import one_error
from .sockets import PATIENCE, SocketPeer

Fields = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Answers:
    """How a backend answers handshakes."""

    status: int
    deflate: bool
    delay: float
    subprotocol: str | None
    headers: Fields


class RealBackend:
    """A WebSocket server for gateways under test.

    address  where it listens
    url      the same, as ``ws://127.0.0.1:PORT``
    peers    a peer for each handshake that has come, also for refused ones
    """

    def __init__(self, address: Address, answers: _Answers) -> None:
        self.address: Address = address
        self.url: str = f"ws://{address}"
        self.peers: list[SocketPeer] = []
        self._answers = answers
        self._waiting: list[SocketPeer] = []
        self._accepted = anyio.Event()

    async def accepts(self) -> SocketPeer:
        """The next session's peer. AssertionError when none comes within some seconds."""
        __tracebackhide__ = True
        with anyio.move_on_after(PATIENCE):
            while not self._waiting:
                await self._accepted.wait()
        if not self._waiting:
            raise AssertionError(f"expected a handshake at {self.url}, but none came")
        return self._waiting.pop(0)

    async def serve(self, listening: socket.socket, tasks: TaskGroup) -> None:
        """For the kit: accept until cancelled."""
        while True:
            await anyio.wait_readable(listening)
            sock, _ = listening.accept()
            tasks.start_soon(self._handshake, configure(sock), tasks)

    async def _handshake(self, sock: socket.socket, tasks: TaskGroup) -> None:
        protocol = WSConnection(ConnectionType.SERVER)
        peer = SocketPeer("backend", sock, protocol)
        self.peers.append(peer)
        try:
            event = await _first_event(sock, protocol)
        except (OSError, RemoteProtocolError):  # such as a health check over HTTP
            peer.disconnect()
            return
        assert isinstance(event, Request)
        peer.headers, peer.target = _headers(event.extra_headers), event.target
        await anyio.sleep(self._answers.delay)
        answer = self._answer()
        await send_all(sock, protocol.send(answer))
        if isinstance(answer, RejectConnection):
            peer.status = answer.status_code
            peer.disconnect()
            return
        peer.status, peer.subprotocol = 101, self._answers.subprotocol or ""
        peer.deflates = any(extension.enabled() for extension in _offered(answer))
        peer.start(tasks)
        self._waiting.append(peer)
        self._accepted.set()
        self._accepted = anyio.Event()

    def _answer(self) -> Event:
        how = self._answers
        fields = [(name.encode(), value.encode()) for name, value in how.headers]
        if how.status != 101:
            return RejectConnection(how.status, [(b"content-length", b"0"), *fields])
        return AcceptConnection(how.subprotocol, _extensions(how.deflate), fields)


@asynccontextmanager
async def real_backend(
    *,
    status: int = 101,
    refuses: bool = False,
    delay: float = 0.0,
    deflate: bool = False,
    subprotocol: str | None = None,
    headers: Fields = (),
    receive_buffer: int | None = None,
) -> AsyncIterator[RealBackend]:
    """A WebSocket server on a port of 127.0.0.1 that the kernel chooses.

    status          what handshakes are answered with
    refuses         refuse every connection: nobody listens on the port
    delay           seconds from a handshake to its answer
    deflate         agree on permessage-deflate with clients that offer it
    subprotocol     the subprotocol to choose
    headers         further fields of the answer
    receive_buffer  bytes that the kernel takes for it; a small number makes a slow reader
    """
    with one_error(), socket.socket() as listening:
        listening.setblocking(False)
        _limit(listening, receive_buffer)
        listening.bind(("127.0.0.1", 0))
        address = Address(*listening.getsockname())
        backend = RealBackend(address, _Answers(status, deflate, delay, subprotocol, headers))
        async with anyio.create_task_group() as tasks:
            if not refuses:
                listening.listen()
                tasks.start_soon(backend.serve, listening, tasks)
            try:
                yield backend
            finally:
                tasks.cancel_scope.cancel()
                for peer in backend.peers:
                    peer.disconnect()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a client asks for."""

    target: str
    headers: Fields
    subprotocols: Sequence[str]
    deflate: bool


@asynccontextmanager
async def real_client(
    address: Address,
    target: str = "/",
    headers: Fields = (),
    *,
    subprotocols: Sequence[str] = (),
    deflate: bool = False,
    receive_buffer: int | None = None,
) -> AsyncIterator[SocketPeer]:
    """A WebSocket client of the gateway at `address`, as `Running.address` has it.

    Look at `status` when the handshake may be refused. OSError when it cannot connect.

    target          what it asks for
    headers         further fields of its handshake; Host is ``gateway.example``
    subprotocols    those that it offers
    deflate         offer permessage-deflate
    receive_buffer  bytes that the kernel takes for it; a small number makes a slow reader
    """
    protocol = WSConnection(ConnectionType.CLIENT)
    with one_error(), socket.socket() as sock:
        configure(sock)
        _limit(sock, receive_buffer)
        peer = SocketPeer("client", sock, protocol)
        await connect(sock, tuple(address), PATIENCE)
        await _shake(peer, sock, protocol, _Wanted(target, headers, subprotocols, deflate))
        async with anyio.create_task_group() as tasks:
            if peer.status == 101:
                peer.start(tasks)
            try:
                yield peer
            finally:
                tasks.cancel_scope.cancel()
                peer.disconnect()


async def _shake(
    peer: SocketPeer, sock: socket.socket, protocol: WSConnection, wanted: _Wanted
) -> None:
    fields = [(name.encode(), value.encode()) for name, value in wanted.headers]
    extensions = _extensions(wanted.deflate)
    subprotocols = list(wanted.subprotocols)
    request = Request("gateway.example", wanted.target, extensions, fields, subprotocols)
    await send_all(sock, protocol.send(request))
    event = await _first_event(sock, protocol)
    peer.target = wanted.target
    if isinstance(event, AcceptConnection):
        peer.status, peer.headers = 101, _headers(event.extra_headers)
        peer.subprotocol = event.subprotocol or ""
        peer.deflates = any(extension.enabled() for extension in extensions)
    elif isinstance(event, RejectConnection):
        peer.status, peer.headers = event.status_code, _headers(event.headers)
        peer.disconnect()


async def _first_event(sock: socket.socket, protocol: WSConnection) -> Event:
    """What the handshake of the other end says. ConnectionError when it ends before that."""
    while True:
        data = await receive(sock, PATIENCE)
        if not data:
            raise ConnectionError("the other end has closed the connection in the handshake")
        protocol.receive_data(data)
        for event in protocol.events():
            return event


def _offered(answer: Event) -> list[Extension]:
    return answer.extensions if isinstance(answer, AcceptConnection) else []


def _extensions(deflate: bool) -> list[Extension]:
    return [PerMessageDeflate()] if deflate else []


def _headers(fields: Iterable[tuple[bytes, bytes]]) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields])


def _limit(sock: socket.socket, receive_buffer: int | None) -> None:
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
