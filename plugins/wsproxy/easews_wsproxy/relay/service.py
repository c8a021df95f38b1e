"""The data plane: every open session of the process in one selector.

All relayed sockets sit in one poller, which is itself a pollable descriptor: one task waits
for it through the event loop, takes all that is ready, and for each reads, judges and sends.
No coroutine, stream or message object is touched on the way; an idle session costs two
sockets and a few small objects.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
from anyio.abc import TaskGroup

from easews import Connection, Packed, Service, Services, Session
from easews.lowlevel import READ, WRITE, whenever_readable

from . import packing
from .compiled import Loop
from .heldbytes import HeldBytes
from .incoming import looks_on, on_bytes
from .interest import wants_bytes
from .isolation import contain, cut
from .leg import Leg
from .lifecycle import Lifecycle
from .receiving import Receiver
from .session import RelaySession
from .sizes import BUFFER_BYTES, LARGE_FRAME, TURN_BYTES
from .timers import Wheel
from .transit import Transit

#: Seconds of work before the event loop gets its turn.
TURN = 0.002
#: Room in front of a read for a header or control frame that was cut.
HEADROOM = 256


class Relay(Service):
    """Relays the sessions of all WebSocketProxy filters of the process."""

    state_version = packing.VERSION

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._buffer = bytearray(HEADROOM + BUFFER_BYTES)
        self._loop: Loop[RelaySession, Leg] = Loop(
            self._on_ready, self._on_bytes, self._on_end, self._buffer, TURN_BYTES, LARGE_FRAME
        )
        self._held_bytes = HeldBytes(self._loop)
        self._receiver = Receiver(self._buffer, self._held_bytes)
        self._read = self._receiver.read
        self._sessions: set[Lifecycle] = set()
        self._transit = Transit()
        self._wheel: Wheel[Lifecycle] = Wheel(time.monotonic(), 0.1)
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
                self._receiver.close()

    def _cut_all(self) -> None:
        for session in list(self._sessions):
            cut(session)
        self._transit.close_all()

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
            contain(session, now)

    def _begin(self, session: RelaySession, from_client: bytes, from_backend: bytes) -> None:
        """Read and relay it from now on."""
        if session.is_over:
            return
        now = time.monotonic()
        self._enter(session, session.client)
        self._enter(session, session.backend)
        for leg, received in ((session.client, from_client), (session.backend, from_backend)):
            if received:
                self._receiver.take(session, leg, received, now)
        session.settle(now)

    # From one process to another

    def pack(self, session: Session) -> Packed | None:
        """See `easews.Service`. Those stay whose messages filters see, and those with TLS."""
        if not (isinstance(session, RelaySession) and self._may_go(session)):
            return None
        state = packing.pack(session)
        sockets = self._transit.park(session, session.wake)
        self._wheel.forget(session)
        return Packed(state, sockets)

    def adopt(self, packed: Packed, connection: Connection) -> Session:
        """See `easews.Service`."""
        session = packing.unpack(packed.state, connection, *packed.sockets)
        for leg in (session.client, session.backend):
            leg.held_bytes = self._held_bytes
            self._held_bytes.add(len(leg.pending or b"") + len(leg.inserts or b""))
        session.clock = self
        self._sessions.add(session)
        self._transit.park(session, packed.state["wake"])
        return session

    def resume(self, session: Session) -> None:
        """See `easews.Service`."""
        assert isinstance(session, RelaySession)
        if session.is_over:  # it was cut meanwhile
            self._transit.close(session)
            return
        now, wake = time.monotonic(), self._transit.give_back(session)
        try:
            self._enter(session, session.client)
            self._enter(session, session.backend)
            self.schedule(session, wake)
            session.settle(now)
        except Exception:
            contain(session, now)

    def forget(self, session: Session) -> None:
        """See `easews.Service`."""
        assert isinstance(session, RelaySession)
        self._transit.close(session)
        session.forget()

    def _may_go(self, session: RelaySession) -> bool:
        is_here = session in self._sessions and session not in self._transit
        return is_here and session.client.loop is not None and packing.can_be_packed(session)

    # What a session asks

    def schedule(self, session: Lifecycle, when: float) -> None:
        """Have the session checked soon after `when`, unless it will be before that anyway."""
        if not self._wheel:
            self._timers_needed.set()
        self._wheel.schedule(session, when)

    def ended(self, session: Lifecycle) -> None:
        """The session is over."""
        self._sessions.discard(session)
        self._wheel.forget(session)

    def spawn(self, session: Lifecycle, running: Callable[[], Awaitable[None]]) -> None:
        """Run this in a task; a fault ends the session."""
        if self._tasks is None:
            raise RuntimeError("a task needs a relay that serves")
        self._tasks.start_soon(self._run, session, running)

    async def _run(self, session: Lifecycle, running: Callable[[], Awaitable[None]]) -> None:
        try:
            await running()
        except Exception:
            contain(session, time.monotonic())

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
            contain(session, now)

    def _on_bytes(self, session: RelaySession, leg: Leg, end: int, upto: int, sent: int) -> bool:
        now = time.monotonic()
        try:
            if leg.lane is not None and upto != end:
                return looks_on(session, leg, self._buffer, end, now)
            on_bytes(session, leg, self._buffer, upto, end, sent, now)
            session.settle(now)
        except Exception:
            contain(session, now)
        return False

    def _on_end(self, session: RelaySession, leg: Leg) -> None:
        now = time.monotonic()
        try:
            session.on_end(leg, now)
            session.settle(now)
        except Exception:
            contain(session, now)

    # Time

    async def _keep_time(self) -> None:
        while True:
            await self._timers_needed.wait()
            self._timers_needed = anyio.Event()
            while self._wheel:
                await anyio.sleep(self._wheel.resolution)
                now = time.monotonic()
                for session in self._wheel.due(now):
                    self._check(session, now)

    def _check(self, session: Lifecycle, now: float) -> None:
        try:
            session.check(now)
        except Exception:
            contain(session, now)
