"""The data plane: every open session of the process in one selector.

All relayed sockets sit in one poller, which is itself a pollable descriptor: one task waits
for it through the event loop, takes all that is ready, and for each reads, judges and sends.
No coroutine, stream or message object is touched on the way; an idle session costs two
sockets and a few small objects.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

from easews import Service, Services
from easews.lowlevel import READ, WRITE

from . import splice
from .compiled import Loop
from .leg import BUFFER_BYTES, LARGE_FRAME, TURN_BYTES, HeldBytes, Leg
from .session import RelaySession
from .splice import Pipe
from .timers import Wheel

log = logging.getLogger("easews.wsproxy")

#: Seconds of work before the event loop gets its turn.
TURN = 0.002
#: Room in front of a read for a header or control frame that was cut.
HELD_BYTES = 256


class Relay(Service):
    """Relays the sessions of all WebSocketProxy filters of the process."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._buffer = bytearray(HELD_BYTES + BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._loop = Loop(self._attend, self._buffer, TURN_BYTES, LARGE_FRAME)
        self._held_bytes = HeldBytes(self._loop)
        self._pipe = Pipe(BUFFER_BYTES) if splice.AVAILABLE else None
        self._sessions: set[RelaySession] = set()
        self._wheel: Wheel[RelaySession] = Wheel(time.monotonic(), 0.1)
        self._timers_wanted = anyio.Event()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Relay until cancelled; sessions that are still open then are cut."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_time)
            ready()
            try:
                await self._relay()
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
        session.schedule = self._schedule
        session.forget = self._forget
        first = ((session.client, from_client), (session.backend, from_backend))
        for leg, _ in first:
            leg.loop, leg.held_bytes = self._loop, self._held_bytes
        try:
            for leg, _ in first:
                leg.join()
            for leg, received in first:
                if received:
                    self._buffer[: len(received)] = received
                    leg.walker.bytes += len(received)
                    session.receive(leg, self._buffer, 0, len(received), 0, now)
            session.update_interest()
            self._schedule(session, now)  # when the clock next strikes; many do not live so long
        except Exception:
            self._contain(session, now)

    async def _relay(self) -> None:
        while True:
            await anyio.wait_readable(self._loop.fileno())
            while not self._loop.turn(time.monotonic() + TURN):
                await checkpoint()

    def _attend(self, leg: Leg, events: int, end: int, upto: int, sent: int) -> None:
        """See `loop`: what the inner loop leaves to us."""
        session = leg.session
        now = time.monotonic()
        try:
            if end > 0:
                if sent < 0:
                    session.unwritable(leg.other)
                    sent = upto
                session.receive(leg, self._buffer, upto, end, sent, now)
            elif end == 0:
                session.ended(leg, now)
            else:
                if events & ~READ and leg.pending is not None:
                    session.writable(leg, now)
                if events & ~WRITE and leg.wants_bytes:
                    self._read(leg, now)
            session.update_interest()
        except Exception:
            self._contain(session, now)

    def _read(self, leg: Leg, now: float) -> None:
        start = len(leg.held)
        try:
            if self._pipe is not None and leg.can_splice:
                count = self._splice(self._pipe, leg, now)
            elif start:
                self._buffer[:start] = leg.held
                count = leg.receive(self._view[start:], leg.size_to_read())
            else:
                count = leg.receive(self._buffer, leg.size_to_read())
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0  # a reset ends the stream as an EOF does
        if not count:
            leg.session.ended(leg, now)
        elif count > 0:
            leg.held = b""
            leg.walker.bytes += count
            leg.session.receive(leg, self._buffer, 0, start + count, 0, now)

    def _splice(self, pipe: Pipe, leg: Leg, now: float) -> int:
        """-1 when what came is already on its way, 0 at the end of the stream, else what `receive`
        got: only that passes TCP urgent data, in front of which there is nothing to splice.
        """
        try:
            came, rest, alive = pipe.move(leg.fd, leg.other.fd, leg.walker.remaining)
        except BlockingIOError:
            return leg.receive(self._buffer, leg.size_to_read())
        if not alive:
            leg.session.unwritable(leg.other)
        if came:
            leg.walker.bytes += came
            leg.session.passed(leg, came, rest, now)
        return -1 if came else 0

    def _contain(self, session: RelaySession, now: float) -> None:
        log.exception("session %s: a fault while relaying; it is closed", session.opening.id)
        try:
            session.failed(now)
            session.update_interest()
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

    def _forget(self, session: RelaySession) -> None:
        self._sessions.discard(session)
        self._wheel.forget(session)

    def _schedule(self, session: RelaySession, when: float) -> None:
        if not self._wheel:
            self._timers_wanted.set()
        self._wheel.schedule(session, when)

    async def _keep_time(self) -> None:
        while True:
            await self._timers_wanted.wait()
            self._timers_wanted = anyio.Event()
            while self._wheel:
                await anyio.sleep(self._wheel.resolution)
                now = time.monotonic()
                for session in self._wheel.due(now):
                    self._check(session, now)

    def _check(self, session: RelaySession, now: float) -> None:
        try:
            wake = session.check(now)
            session.update_interest()
            self._wheel.schedule(session, wake)
        except Exception:
            self._contain(session, now)
