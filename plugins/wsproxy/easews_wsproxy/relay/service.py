"""The data plane: every open session of the process in one selector.

All relayed sockets sit in one poller, which is itself a pollable descriptor: one task waits
for it through the event loop, takes all that is ready, and for each reads, judges and sends.
No coroutine, stream or message object is touched on the way; an idle session costs two
sockets and a few small objects.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from math import inf
from typing import NamedTuple

import anyio
from anyio.abc import TaskGroup

from easews import Connection, Packed, Service, Services, Session
from easews.lowlevel import READ, WRITE, whenever_readable

from . import packing, splice
from .compiled import Loop
from .heldbytes import HeldBytes
from .interest import can_fill, can_splice, next_read_size, wants_bytes
from .leg import Leg
from .parking import PARKED
from .session import RelaySession
from .sizes import BUFFER_BYTES, LARGE_FRAME, SCARCE_BYTES, TURN_BYTES
from .splice import Pipe
from .timers import Wheel

log: logging.Logger = logging.getLogger("easews.wsproxy")

#: Seconds of work before the event loop gets its turn.
TURN = 0.002
#: Room in front of a read for a header or control frame that was cut.
HEADROOM = 256


class _Place(NamedTuple):
    """Where a session is kept that is on its way: its connections, and when it is to be checked."""

    sockets: Sequence[socket.socket]
    wake: float


class Relay(Service):
    """Relays the sessions of all WebSocketProxy filters of the process."""

    state_version = packing.VERSION

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._buffer = bytearray(HEADROOM + BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._loop: Loop[RelaySession, Leg] = Loop(
            self._on_ready, self._on_bytes, self._on_end, self._buffer, TURN_BYTES, LARGE_FRAME
        )
        self._held_bytes = HeldBytes(self._loop)
        self._pipe = Pipe(BUFFER_BYTES) if splice.AVAILABLE else None
        self._sessions: set[RelaySession] = set()
        # The connections of sessions that are on their way from or to another process.
        self._parked: dict[Session, _Place] = {}
        self._wheel: Wheel[RelaySession] = Wheel(time.monotonic(), 0.1)
        self._timers_needed = anyio.Event()
        self._tasks: TaskGroup | None = None  # while it serves

    async def serve(self, ready: Callable[[], None]) -> None:
        """Relay until cancelled; sessions that are still open then are cut."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._keep_time)
            ready()
            try:
                await whenever_readable(self._loop.fileno(), self._turn)
            finally:
                # Nobody waits for the loop any more: only now may it be closed.
                self._cut_all()
                self._loop.close()
                if self._pipe is not None:
                    self._pipe.close()

    def open(self, session: RelaySession, from_client: bytes, from_backend: bytes) -> None:
        """Take a session in. The bytes are what each side has sent behind its handshake."""
        now = time.monotonic()
        self._sessions.add(session)
        session.clock = self
        session.client.held_bytes = session.backend.held_bytes = self._held_bytes
        try:
            session.on_open(partial(self._begin, session, from_client, from_backend))
            self.schedule(session, now)  # when the clock next strikes; many do not live so long
        except Exception:
            self._contain(session, now)

    def _begin(self, session: RelaySession, from_client: bytes, from_backend: bytes) -> None:
        """Read and relay it from now on."""
        if session.is_over:
            return
        now = time.monotonic()
        self._enter(session, session.client)
        self._enter(session, session.backend)
        for leg, received in ((session.client, from_client), (session.backend, from_backend)):
            if received:
                self._buffer[: len(received)] = received
                if leg.taps:
                    leg.show(self._view[: len(received)])
                leg.walker.bytes += len(received)
                session.on_bytes(leg, self._buffer, 0, len(received), 0, now)
        session.settle(now)

    # From one process to another

    def pack(self, session: Session) -> Packed | None:
        """See `easews.Service`. Those stay whose messages filters see, and those with TLS."""
        if not (isinstance(session, RelaySession) and self._may_go(session)):
            return None
        state = packing.pack(session)
        self._park(session)
        return Packed(state, self._parked[session].sockets)

    def adopt(self, packed: Packed, connection: Connection) -> Session:
        """See `easews.Service`."""
        session = packing.unpack(packed.state, connection, *packed.sockets)
        for leg in (session.client, session.backend):
            leg.held_bytes = self._held_bytes
            self._held_bytes.add(len(leg.pending or b"") + len(leg.inserts or b""))
        session.clock = self
        session.wake, wake = inf, packed.state["wake"]
        self._sessions.add(session)
        self._park(session, wake)
        return session

    def resume(self, session: Session) -> None:
        """See `easews.Service`."""
        assert isinstance(session, RelaySession)
        sockets, wake = self._parked.pop(session)
        if session.is_over:  # it was cut meanwhile
            _close(sockets)
            return
        now = time.monotonic()
        try:
            for leg, sock in zip((session.client, session.backend), sockets, strict=True):
                leg.wire = leg.sock = sock
                self._enter(session, leg)
            self.schedule(session, wake)
            session.settle(now)
        except Exception:
            self._contain(session, now)

    def forget(self, session: Session) -> None:
        """See `easews.Service`."""
        assert isinstance(session, RelaySession)
        _close(self._parked.pop(session).sockets)
        session.forget()

    def _may_go(self, session: RelaySession) -> bool:
        is_here = session in self._sessions and session not in self._parked
        return is_here and session.client.loop is not None and packing.can_be_packed(session)

    def _park(self, session: RelaySession, wake: float | None = None) -> None:
        """Take its connections out of the loop, so that nothing reads or writes them."""
        sockets = []
        for leg in (session.client, session.backend):
            if leg.loop is not None:
                leg.loop.leave(leg.fd)
                leg.loop = None
            assert leg.sock is not None
            sockets.append(leg.sock)
            leg.wire, leg.sock = PARKED, None
        self._parked[session] = _Place(sockets, session.wake if wake is None else wake)
        self._wheel.forget(session)

    # What a session asks

    def schedule(self, session: RelaySession, when: float) -> None:
        """Have the session checked soon after `when`, unless it will be before that anyway."""
        if not self._wheel:
            self._timers_needed.set()
        self._wheel.schedule(session, when)

    def ended(self, session: RelaySession) -> None:
        """The session is over."""
        self._sessions.discard(session)
        self._wheel.forget(session)

    def spawn(self, session: RelaySession, running: Callable[[], Awaitable[None]]) -> None:
        """Run this in a task; a fault ends the session."""
        if self._tasks is None:
            raise RuntimeError("a task needs a relay that serves")
        self._tasks.start_soon(self._run, session, running)

    async def _run(self, session: RelaySession, running: Callable[[], Awaitable[None]]) -> None:
        try:
            await running()
        except Exception:
            self._contain(session, time.monotonic())

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    # Descriptors

    def _turn(self) -> bool:
        return self._loop.turn(time.monotonic() + TURN)

    def _enter(self, session: RelaySession, leg: Leg) -> None:
        self._loop.enter(leg.fd, session, leg, leg.walker, leg.other.fd, leg.tls)
        leg.loop = self._loop

    def _on_ready(self, session: RelaySession, leg: Leg, events: int) -> None:
        now = time.monotonic()
        try:
            if events & ~READ and leg.pending is not None:
                leg.flush()
            if events & ~WRITE and wants_bytes(leg):
                self._read(session, leg, now)
            session.settle(now)
        except Exception:
            self._contain(session, now)

    def _on_bytes(self, session: RelaySession, leg: Leg, end: int, upto: int, sent: int) -> bool:
        now = time.monotonic()
        try:
            if leg.lane is not None and upto != end:
                return session.looks_on(leg, self._buffer, end, now)
            session.on_bytes(leg, self._buffer, upto, end, sent, now)
            session.settle(now)
        except Exception:
            self._contain(session, now)
        return False

    def _on_end(self, session: RelaySession, leg: Leg) -> None:
        now = time.monotonic()
        try:
            session.on_end(leg, now)
            session.settle(now)
        except Exception:
            self._contain(session, now)

    def _read(self, session: RelaySession, leg: Leg, now: float) -> None:
        if leg.wire is None:
            return
        start = len(leg.held)
        try:
            if self._pipe is not None and can_splice(leg):
                count = self._splice(self._pipe, session, leg, now)
            elif can_fill(leg):
                count = self._fill(session, leg, now)
            elif start:
                self._buffer[:start] = leg.held
                count = leg.wire.recv_into(self._view[start:], next_read_size(leg))
            else:
                count = leg.wire.recv_into(self._buffer, next_read_size(leg))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0  # a reset ends the stream as an EOF does
        if not count:
            session.on_end(leg, now)
        elif count > 0:
            if leg.taps:
                leg.show(self._view[start : start + count])
            leg.held = b""
            leg.walker.bytes += count
            session.on_bytes(leg, self._buffer, 0, start + count, 0, now)

    def _splice(self, pipe: Pipe, session: RelaySession, leg: Leg, now: float) -> int:
        """-1 when what came is already on its way, 0 at the end of the stream, else how much came
        into the buffer: only a read passes TCP urgent data, in front of which nothing is spliced.
        """
        try:
            came, rest, alive = pipe.move(leg.fd, leg.other.fd, leg.walker.remaining)
        except BlockingIOError:
            if leg.wire is None:
                return -1
            return leg.wire.recv_into(self._buffer, next_read_size(leg))
        if not alive:
            leg.other.give_up()
        if came:
            leg.walker.bytes += came
            session.on_spliced(leg, came, rest, now)
        return -1 if came else 0

    def _fill(self, session: RelaySession, leg: Leg, now: float) -> int:
        """The same for a large message, which is received where its lane wants it."""
        assert leg.lane is not None
        assert leg.wire is not None
        most = SCARCE_BYTES if self._held_bytes.scarce else BUFFER_BYTES
        with leg.lane.room() as room:
            count = leg.wire.recv_into(room, min(len(room), most))
            if leg.taps:
                leg.show(room[:count])
        if count:
            leg.walker.bytes += count
            session.on_filled(leg, count, now)
        return -1 if count else 0

    # Faults and time

    def _contain(self, session: RelaySession, now: float) -> None:
        log.exception("session %s: a fault while relaying; it is closed", session.opening.id)
        try:
            session.on_failure(now)
            session.settle(now)
        except Exception:
            log.exception("session %s: it is cut", session.opening.id)
            self._cut(session)

    def _cut(self, session: RelaySession) -> None:
        try:
            session.cut()
        except Exception:
            log.exception("session %s: a fault at its end", session.opening.id)

    def _cut_all(self) -> None:
        for session in list(self._sessions):
            self._cut(session)
        for place in self._parked.values():
            _close(place.sockets)
        self._parked.clear()

    async def _keep_time(self) -> None:
        while True:
            await self._timers_needed.wait()
            self._timers_needed = anyio.Event()
            while self._wheel:
                await anyio.sleep(self._wheel.resolution)
                now = time.monotonic()
                for session in self._wheel.due(now):
                    self._check(session, now)

    def _check(self, session: RelaySession, now: float) -> None:
        try:
            session.check(now)
        except Exception:
            self._contain(session, now)


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
