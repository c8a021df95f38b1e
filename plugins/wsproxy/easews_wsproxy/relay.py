"""The data plane: every open session of the process in one selector.

All relayed sockets sit in one poller, which is itself a pollable descriptor: one task waits
for it through the event loop, takes all that is ready, and for each reads, judges and sends.
No coroutine, stream or message object is touched on the way; an idle session costs two
sockets and a few small objects.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import anyio
from anyio.lowlevel import checkpoint

from easews import Service

from .leg import BUFFER_BYTES, Leg
from .poller import READ, WRITE, make_poller
from .session import RelaySession
from .timers import Wheel

log = logging.getLogger("easews.wsproxy")

#: Seconds of work before the event loop gets its turn.
TURN = 0.002
#: How many events between two looks at the clock.
CLOCK_STRIDE = 16
#: Room in front of a read for a header or control frame that was cut.
HELD_BYTES = 256


class Relay(Service):
    """Relays the sessions of all WebSocketProxy filters of the process."""

    def __init__(self) -> None:
        self._poller = make_poller()
        self._legs: dict[int, Leg] = {}
        self._buffer = bytearray(HELD_BYTES + BUFFER_BYTES)
        self._view = memoryview(self._buffer)
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
                # Nobody waits for the poller any more: only now may it be closed.
                for session in {leg.session for leg in self._legs.values()}:
                    session.cut()
                self._poller.close()

    def open(self, session: RelaySession, from_client: bytes, from_backend: bytes) -> None:
        """Take a session in. The bytes are what each side has sent behind its handshake."""
        now = time.monotonic()
        session.schedule = self._schedule
        first = ((session.client, from_client), (session.backend, from_backend))
        for leg, _ in first:
            leg.join(self._poller, self._legs)
            leg.watch(READ)
        try:
            for leg, received in first:
                if received:
                    self._buffer[: len(received)] = received
                    self._take(leg, len(received), len(received), now)
        except Exception:
            self._contain(session, now)

    async def _relay(self) -> None:
        while True:
            await anyio.wait_readable(self._poller.fileno())
            # All that is ready in one go: in smaller batches the last ones wait much longer.
            events = iter(self._poller.poll(0, max(len(self._legs), 1)))
            while not self._turn(events):
                await checkpoint()

    def _turn(self, events: Iterator[tuple[int, int]]) -> bool:
        """Work on events until they or this turn's time are used up; True when they are.

        A descriptor may have changed hands since the events were taken. That does no harm:
        what an event says is only ever believed after the socket has said it, too.
        """
        legs = self._legs
        now = time.monotonic()
        ends = now + TURN
        countdown = CLOCK_STRIDE
        for fd, mask in events:
            leg = legs.get(fd)
            if leg is None:
                continue
            try:
                if mask & ~READ and leg.pending is not None:
                    leg.session.writable(leg, now)
                if mask & ~WRITE and leg.events & READ:
                    self._read(leg, now)
            except Exception:
                self._contain(leg.session, now)
            countdown -= 1
            if not countdown:
                now = time.monotonic()
                if now >= ends:
                    return False
                countdown = CLOCK_STRIDE
        return True

    def _read(self, leg: Leg, now: float) -> None:
        start = len(leg.held)
        try:
            if start:
                self._buffer[:start] = leg.held
                count = leg.receive(self._view[start:], leg.read_size())
            else:
                count = leg.receive(self._buffer, leg.read_size())
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0  # a reset ends the stream as an EOF does
        if count:
            leg.held = b""
            self._take(leg, count, start + count, now)
        else:
            leg.session.ended(leg, now)

    def _take(self, leg: Leg, count: int, end: int, now: float) -> None:
        """Pass on what is in the buffer up to `end`; `count` bytes of it are new."""
        leg.seen = now
        leg.total_bytes += count
        leg.session.receive(leg, self._buffer, self._view, end, now)

    def _contain(self, session: RelaySession, now: float) -> None:
        log.exception("session %s: a fault while relaying; it is closed", session.birth.id)
        try:
            session.failed(now)
        except Exception:
            log.exception("session %s: it is cut", session.birth.id)
            session.cut()

    def _schedule(self, session: RelaySession, when: float) -> None:
        self._wheel.schedule(session, when)
        self._timers_wanted.set()

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
        except Exception:
            self._contain(session, now)
        else:
            self._wheel.schedule(session, wake)
