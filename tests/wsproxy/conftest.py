"""Sessions in a relay, with both of their far ends in the test's hands."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, field
from functools import partial
from math import inf
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.tlspeers import TlsEnd, client_context, server_context, tls_pair
from tests.wsproxy.loops import LOOPS
from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from easews import Connection, Ending, Filter, Opening, Packed, Sender, Services, Sessions
from easews.lowlevel import TlsWire, socket_of
from easews.pipeline.hooks import SessionHooks
from easews.pipeline.hooksteps import step_of
from easews_wsproxy.messages import lane as lane_module
from easews_wsproxy.messages.deflate import Agreed
from easews_wsproxy.messages.lane import read_messages
from easews_wsproxy.relay import lifecycle as lifecycle_module
from easews_wsproxy.relay import loop as loop_module
from easews_wsproxy.relay import service as relay_module
from easews_wsproxy.relay import session as session_module
from easews_wsproxy.relay.frames import Walker
from easews_wsproxy.relay.leg import Leg
from easews_wsproxy.relay.service import Relay
from easews_wsproxy.relay.session import RelaySession
from easews_wsproxy.relay.watchdog import Limits

#: Far more than anything here takes; only to end a test that would hang.
PATIENCE = 30


class Peer:
    """One far end of a session; frames are written and read by `websockets`."""

    def __init__(self, sock: socket.socket | TlsEnd, masks: bool) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.masks = masks
        self.extensions: list[Extension] = []
        self._reader = StreamReader()

    def frame(self, opcode: Opcode, payload: bytes = b"", fin: bool = True) -> bytes:
        return Frame(opcode, payload, fin).serialize(mask=self.masks)

    async def send(self, data: bytes) -> None:
        with anyio.fail_after(PATIENCE):
            while data:
                try:
                    data = data[self.sock.send(data) :]
                except BlockingIOError:
                    await anyio.wait_writable(self.sock)

    async def send_text(self, text: str) -> None:
        await self.send(self.frame(Opcode.TEXT, text.encode()))

    async def receive(self, size: int = 65536) -> bytes:
        """What is there; b"" at the end of the stream."""
        with anyio.fail_after(PATIENCE):
            await checkpoint()
            while True:
                try:
                    return self.sock.recv(size)
                except BlockingIOError:
                    await anyio.wait_readable(self.sock)

    async def receive_exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = await self.receive(size - len(data))
            assert piece, f"the stream ended after {len(data)} of {size} bytes"
            data += piece
        return bytes(data)

    async def receive_frame(self) -> Frame:
        read, extensions = self._reader.read_exact, self.extensions
        parsing = Frame.parse(read, mask=not self.masks, extensions=extensions)
        while True:
            try:
                next(parsing)
            except StopIteration as stop:
                frame: Frame = stop.value
                return frame
            data = await self.receive()
            assert data, "the stream ended where a frame was expected"
            self._reader.feed_data(data)

    async def receive_text(self) -> str:
        frame = await self.receive_frame()
        assert frame.opcode is Opcode.TEXT
        return bytes(frame.data).decode()

    async def receive_close(self) -> tuple[int | None, str]:
        """Code and reason of the Close that has to come now."""
        frame = await self.receive_frame()
        assert frame.opcode is Opcode.CLOSE, frame
        payload = bytes(frame.data)
        return int.from_bytes(payload[:2]) if payload else None, payload[2:].decode()

    async def answer_close(self) -> tuple[int | None, str]:
        """The same, and send back the same."""
        code, reason = await self.receive_close()
        await self.send(self.frame(Opcode.CLOSE, b"" if code is None else code.to_bytes(2)))
        return code, reason

    async def receive_end(self) -> None:
        """Nothing more may come but the end of the stream."""
        assert await self.receive() == b""

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        if isinstance(self.sock, TlsEnd):
            self.sock.reset()
            return
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Watched:
    """A leg's wire that notes the sizes of what it is asked for, and of what it is sent."""

    def __init__(self, wire: Any) -> None:
        self._wire = wire
        self.reads: list[int] = []
        self.writes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)

    def recv_into(self, buffer: bytearray | memoryview, size: int, /) -> int:
        self.reads.append(size)
        return int(self._wire.recv_into(buffer, size))

    def send(self, data: bytes | bytearray | memoryview, /) -> int:
        self.writes.append(len(data))
        return int(self._wire.send(data))


@dataclass
class Relayed:
    """A session, its far ends, and how it ended, once it has."""

    client: Peer
    backend: Peer
    session: RelaySession
    endings: list[Ending] = field(default_factory=list)
    over: anyio.Event = field(default_factory=anyio.Event)

    def watch(self, leg: Leg) -> Watched:
        """See what `leg` reads and writes from now on, as far as Python does it."""
        watched = Watched(leg.wire)
        leg.wire = watched
        return watched

    async def passes_both_ways(self, payload: bytes) -> None:
        """A message with `payload` arrives as it was sent, from each side."""
        for sender, receiver in ((self.client, self.backend), (self.backend, self.client)):
            frame = sender.frame(Opcode.BINARY, payload)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sender.send, frame)
                assert await receiver.receive_exactly(len(frame)) == frame

    async def ended(self) -> Ending:
        with anyio.fail_after(PATIENCE):
            await self.over.wait()
        assert len(self.endings) == 1
        return self.endings[0]


def _session(
    client: socket.socket | TlsWire,
    backend: socket.socket | TlsWire,
    limits: Limits | None = None,
    *,
    deflate: bool = False,
    client_limit: int = -1,
    filters: Sequence[Filter] = (),
    agreed: Agreed | None = None,
    on_end: Callable[[Ending], None] = lambda ending: None,
    on_open: Callable[[Any], None] = lambda session: None,
) -> RelaySession:
    """`filters` are those that its handshake has passed; `agreed`: with which parameters, if any,
    the peers compress.
    """
    for wire in (client, backend):
        if isinstance(wire, socket.socket):
            wire.setblocking(False)
    hooks = _hooks(filters)
    connection = _connection(client, on_end, on_open, hooks)
    deflate = deflate or agreed is not None
    reads = _read_limits(hooks, client_limit)
    limit = -1 if "client" in reads else client_limit
    session = RelaySession(
        connection,
        Leg("client", client, Walker(masked=True, deflate=deflate, limit=limit)),
        Leg("backend", backend, Walker(masked=False, deflate=deflate)),
        limits or Limits(),
    )
    read_messages(session, reads, agreed or (Agreed() if deflate else None))
    return session


def _connection(
    wire: Any,
    on_end: Callable[[Ending], None],
    on_open: Callable[[Any], None] = lambda session: None,
    hooks: SessionHooks | None = None,
) -> Connection:
    sessions = Sessions()
    sessions.on_open.append(on_open)
    sessions.on_end.append(lambda _, ending: on_end(ending))
    return Connection(wire, Opening("1"), sessions=sessions, hooks=hooks)


def _hooks(filters: Sequence[Filter]) -> SessionHooks | None:
    steps = [step_of(each, f"filter {each.name}") for each in filters]
    return SessionHooks([step for step in steps if step is not None]) if steps else None


def _read_limits(hooks: SessionHooks | None, client_limit: int) -> dict[Sender, int]:
    limits: dict[Sender, int] = {}
    for sender, limit in (("client", client_limit), ("backend", -1)):
        reads = hooks.reads(sender) if hooks is not None else None  # type: ignore[arg-type]
        if reads is not None:
            limits[sender] = reads.max_size if limit < 0 else limit  # type: ignore[index]
    return limits


class FarEnd:
    """One far end of a session that is run by hand; `outbox` is what it has still to send."""

    def __init__(self, sock: socket.socket | TlsEnd) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.outbox = bytearray()
        self.received = bytearray()
        self.at_end = False

    def push(self, most: int = -1) -> bool:
        """Send what the socket takes; whether it took anything."""
        if isinstance(self.sock, TlsEnd) and most >= 0:
            most = max(most, self.sock.owed)  # what was refused has to go first
        data = self.outbox if most < 0 else self.outbox[:most]
        before, sent = self._inside_tls(), 0
        with suppress(BlockingIOError, ConnectionError):
            sent = self.sock.send(bytes(data)) if data else 0
            del self.outbox[:sent]
        return sent > 0 or self._inside_tls() != before

    def pull(self, most: int = 1 << 20) -> bool:
        """Receive what is there, at most so much; whether there was anything."""
        before = self._inside_tls()
        try:
            data = self.sock.recv(most) if not self.at_end else b""
        except BlockingIOError:
            return self._inside_tls() != before
        except ConnectionResetError:
            data = b""
        self.received += data
        self.at_end = not data
        return bool(data)

    def _inside_tls(self) -> tuple[int, int] | None:
        """What changes when a part of a record comes or goes."""
        if not isinstance(self.sock, TlsEnd):
            return None
        return self.sock.fills, self.sock.outgoing.pending


class ByHand:
    """A session in a relay that no event loop runs: nothing happens but what a test does next.

    `now` is what the clock of relay and session says; it is moved by `pass_time` only.
    """

    def __init__(
        self,
        relay: Relay,
        session: RelaySession,
        client: FarEnd,
        backend: FarEnd,
        endings: list[Ending],
        loop_type: Any,
        stack: ExitStack,
    ) -> None:
        self.relay = relay
        self.session = session
        self.endings = endings
        self.loop_type = loop_type
        self.stack = stack
        self.client = client
        self.backend = backend
        self.now = session._opened

    def turn(self) -> None:
        """Relay until nothing is ready."""
        assert self.relay._loop.turn(inf)

    def pass_time(self, seconds: float) -> None:
        """What the timer does when its time has come."""
        self.now += seconds
        self.session.check(self.now)

    def move(self) -> None:
        """Have another relay go on with the session, as when another process does."""
        before, session = self.relay, self.session
        packed = before.pack(session)
        if packed is None:
            return
        with patch.object(relay_module, "Loop", self.loop_type):
            self.relay = Relay(Services())
        self.stack.callback(_close_relay, self.relay)
        sockets = [socket.socket(fileno=os.dup(sock.fileno())) for sock in packed.sockets]
        state = json.loads(json.dumps(packed.state))
        connection = _connection(sockets[0], self.endings.append)
        moved = self.relay.adopt(Packed(state, sockets), connection)
        before.forget(session)
        assert isinstance(moved, RelaySession)
        connection.opened(moved)
        self.relay.resume(moved)
        self.session = moved

    def open_another(self) -> RelaySession:
        """A session whose far ends are closed, with a message in each direction."""
        (client_end, client), (backend_end, backend) = socket.socketpair(), socket.socketpair()
        session = _session(client, backend)
        self.relay.open(session, b"\x82\x80\0\0\0\0", b"\x82\0")
        client_end.close()
        backend_end.close()
        return session

    def settle(self, *readers: FarEnd) -> None:
        """Send all that is left to send, and receive all that comes, until nothing moves."""
        moves = True
        while moves:
            self.turn()
            pushed = [far.push() for far in (self.client, self.backend)]
            pulled = [far.pull() for far in readers or (self.client, self.backend)]
            moves = any(pushed + pulled)


def _pair(tls: bool, dialled: bool) -> tuple[socket.socket | TlsEnd, socket.socket | TlsWire]:
    return tls_pair(socket.socketpair, dialled=dialled) if tls else socket.socketpair()


@contextmanager
def _run_by_hand(
    loop_type: Any,
    limits: Limits | None = None,
    *,
    deflate: bool = False,
    client_limit: int = -1,
    filters: Sequence[Filter] = (),
    agreed: Agreed | None = None,
    send_buffer: int | None = None,
    tls: Collection[str] = (),
) -> Iterator[ByHand]:
    """`send_buffer` is the size of the relay's own in the kernel: a small one is soon full. `tls`:
    which sides speak TLS.
    """
    with patch.object(relay_module, "Loop", loop_type):
        relay = Relay(Services())
    client_end, client = _pair("client" in tls, False)
    backend_end, backend = _pair("backend" in tls, True)
    if send_buffer is not None:
        for sock in filter(None, map(socket_of, (client, backend))):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    endings: list[Ending] = []
    session = _session(
        client,
        backend,
        limits,
        deflate=deflate,
        client_limit=client_limit,
        filters=filters,
        agreed=agreed,
        on_end=endings.append,
    )
    stack = ExitStack()
    far_ends = FarEnd(client_end), FarEnd(backend_end)
    by_hand = ByHand(relay, session, *far_ends, endings, loop_type, stack)
    clock = SimpleNamespace(monotonic=lambda: by_hand.now)
    try:
        with stack:
            stack.callback(_close_relay, relay)
            for module in (relay_module, session_module, lifecycle_module, lane_module):
                stack.enter_context(patch.object(module, "time", clock))
            relay.open(session, b"", b"")
            yield by_hand
            by_hand.session.cut()
    finally:
        client_end.close()
        backend_end.close()


def _close_relay(relay: Relay) -> None:
    relay._cut_all()
    relay._loop.close()
    relay._receiver.close()


@dataclass
class Stage:
    """A relay at work. `tls` is for the clients' side; `filters` are those of every session."""

    relay: Relay
    tls: bool = False
    filters: Sequence[Filter] = ()
    peers: list[Peer] = field(default_factory=list)

    def open(
        self,
        limits: Limits | None = None,
        *,
        deflate: bool = False,
        client_limit: int = -1,
        filters: Sequence[Filter] | None = None,
        agreed: Agreed | None = None,
        from_client: bytes = b"",
        from_backend: bytes = b"",
        on_open: Callable[[Any], None] = lambda session: None,
        pair: Callable[[], tuple[socket.socket, socket.socket]] | None = None,
        backend_tls: bool = False,
    ) -> Relayed:
        pair = pair or _tcp_pair
        client_end, client = tls_pair(pair) if self.tls else pair()
        backend_end, backend = tls_pair(pair, dialled=True) if backend_tls else pair()
        session = _session(
            client,
            backend,
            limits,
            deflate=deflate,
            client_limit=client_limit,
            filters=self.filters if filters is None else filters,
            agreed=agreed,
            on_end=lambda ending: on_end(ending),
            on_open=on_open,
        )
        relayed = Relayed(Peer(client_end, masks=True), Peer(backend_end, masks=False), session)

        def on_end(ending: Ending) -> None:
            relayed.endings.append(ending)
            relayed.over.set()

        self.peers += [relayed.client, relayed.backend]
        self.relay.open(session, from_client, from_backend)
        return relayed


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    return near, far


@asynccontextmanager
async def _relaying(tls: bool) -> AsyncIterator[Stage]:
    stage = Stage(Relay(Services()), tls)
    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(_serve, stage.relay)
            try:
                yield stage
            finally:
                tasks.cancel_scope.cancel()
    finally:  # later, or the relay may see them leave before it is stopped
        for peer in stage.peers:
            peer.close()


async def _serve(relay: Relay, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    await relay.serve(task_status.started)


@pytest.fixture(params=[*LOOPS, *(f"{loop}-tls" for loop in LOOPS)])
def relaying(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], AbstractAsyncContextManager[Stage]]:
    """`async with relaying() as stage`: a relay that runs while the block does, with plain
    connections, and with clients over TLS.
    """
    loop, _, tls = request.param.partition("-")
    if loop == "pure":
        monkeypatch.setattr(relay_module, "Loop", loop_module.Loop)
    return partial(_relaying, bool(tls))


@pytest.fixture(scope="session", params=["compiled", "pure"])
def loop_type(request: pytest.FixtureRequest) -> Any:
    """The inner loop for `run_by_hand`."""
    if request.param == "pure":
        return loop_module.Loop
    return request.getfixturevalue("compiled_loop").Loop


@pytest.fixture(
    scope="session",
    params=[(), ("client",), ("backend",), ("client", "backend")],
    ids=["plain", "client-tls", "backend-tls", "both-tls"],
)
def tls(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Which sides speak TLS in `run_by_hand`. Tests may patch what certificates are made with."""
    client_context()
    server_context()
    sides: tuple[str, ...] = request.param
    return sides


@pytest.fixture(scope="session")
def run_by_hand() -> Callable[..., AbstractContextManager[ByHand]]:
    """`with run_by_hand(Loop) as by_hand`: a session that moves when it is told to."""
    return _run_by_hand
