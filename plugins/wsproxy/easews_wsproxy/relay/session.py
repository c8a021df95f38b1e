"""One relayed session: two legs, and what happens to them.

The relay tells it what has happened (`on_...`) and then calls `settle`. What becomes of the bytes
is in `forwarding`, how the session ends in `closing`, what may end it besides its peers in
`watchdog`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Protocol

from easews import Connection, Data, Ending, Frame, Notes, Opening, Side, Traffic, is_close_code

from .closing import LOST, NO_CODE, Closing
from .deadpeer import find_dead_peer
from .endstates import SEALED, Receiving
from .forwarding import adapt_read_size, pass_on, send_ping
from .frames import encode_frame, new_mask
from .hookrunner import HookRunner
from .interest import is_unhindered, update_interest
from .leg import Leg
from .rates import Meter
from .sizes import FLOOD_BYTES, FLOOD_FRAMES, INSERTED_BYTES
from .tap import FrameTap
from .watchdog import LOOKS, POLICY_VIOLATION, Due, End, Limits, Watchdog

log: logging.Logger = logging.getLogger("easews.wsproxy")

INTERNAL_ERROR = 1011

#: Seconds by which the kernel gives up on a peer later than we do: ours has a reason to tell.
KERNEL_GRACE = 30.0


class Clock(Protocol):
    """What a session asks of the relay."""

    def schedule(self, session: RelaySession, when: float) -> None:
        """Call `check` soon after `when`, unless it will be called before that anyway."""

    def ended(self, session: RelaySession) -> None:
        """The session is over."""

    def spawn(self, session: RelaySession, running: Callable[[], Awaitable[None]]) -> None:
        """Run this in a task; a fault ends the session."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so long."""


class RelaySession:
    """See `easews.Session`. Made by the filter, run by the relay."""

    __slots__ = (
        "_checked",
        "_closing",
        "_connection",
        "_limits",
        "_opened",
        "_watchdog",
        "backend",
        "client",
        "clock",
        "hooks",
        "slot",
        "wake",
    )

    def __init__(self, connection: Connection, client: Leg, backend: Leg, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._opened = time.monotonic()
        self._watchdog = Watchdog(limits, self._opened)
        self._closing: Closing | None = None
        self._checked = False
        self.client = client
        self.backend = backend
        self.hooks: HookRunner | None = None
        if connection.hooks is not None:
            self.hooks = HookRunner(connection.hooks, self, self._opened)
        self.clock: Clock  # the relay
        self.wake = inf  # the wheel's, as is its slot
        self.slot = 0
        client.other, backend.other = backend, client
        if limits.client_rate is not None:
            client.meter = Meter(limits.client_rate, self._opened)
            client.read_size = FLOOD_BYTES  # until its messages turn out to be large

    # What the engine asks

    @property
    def opening(self) -> Opening:
        return self._connection.opening

    @property
    def held(self) -> int:
        return sum(
            len(leg.pending or b"") + len(leg.inserts or b"") + (leg.lane.size if leg.lane else 0)
            for leg in (self.client, self.backend)
        )

    @property
    def closing(self) -> bool:
        """Whether the session has begun to end."""
        return self._closing is not None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._closing is not None and self._closing.is_over

    def traffic(self) -> tuple[Traffic, Traffic]:
        return _traffic_of(self.client), _traffic_of(self.backend)

    @property
    def notes(self) -> Notes:
        if self._connection.notes is None:
            self._connection.notes = Notes()
        return self._connection.notes

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def close(self, code: int, reason: str) -> None:
        if not is_close_code(code):
            self.fail(f"a filter has closed it with {code}, which no Close may have")
            return
        now = time.monotonic()
        closing = self._begin_to_close("proxy", code, reason or "closed by a filter", now)
        closing.close_both(code, reason, now)
        self.settle(now)

    def send_to_client(self, data: Data) -> None:
        self._insert(self.client, data)

    def send_to_backend(self, data: Data) -> None:
        self._insert(self.backend, data)

    def _insert(self, leg: Leg, data: Data) -> None:
        """Send `leg` a filter's message, uncompressed: no window changes then (RFC 7692 §7.2)."""
        if self.closing:
            return
        now = time.monotonic()
        if leg.injected + len(leg.inserts or b"") > INSERTED_BYTES:
            self._end(End(POLICY_VIOLATION, "does not take what filters send", leg), now)
        else:
            try:
                leg.insert_message(_frame_of(data, leg))
            except UnicodeEncodeError:
                self.fail("a filter has sent a text with surrogates")
            self._watch_reader(leg, now)
        self.settle(now)

    def expire(self, at: float, code: int, reason: str) -> None:
        when = time.monotonic() + at - time.time()
        self._watchdog.expire(when, code, reason)
        if not self.closing:
            self.clock.schedule(self, when)

    def ping(self) -> None:
        self.client.heartbeat.wanted = self.backend.heartbeat.wanted = True
        if not self.closing:
            self.clock.schedule(self, time.monotonic())

    def tap(self, tell: Callable[[Frame], None], payload: bool = False) -> Callable[[], None]:
        """The loop reports what it receives as long as there is a tap: see `interest`."""
        taps = {leg: FrameTap(leg.role, tell, payload) for leg in (self.client, self.backend)}
        for leg, tap in taps.items():
            leg.taps = (*leg.taps, tap)
        self._settle_if_open()
        return partial(self._untap, taps)

    def _untap(self, taps: dict[Leg, FrameTap]) -> None:
        for leg, ended in taps.items():
            leg.taps = tuple(tap for tap in leg.taps if tap is not ended)
        self._settle_if_open()

    def _settle_if_open(self) -> None:
        if not self.is_over:
            self.settle(time.monotonic())

    # On the way to another process

    @property
    def is_without_notes(self) -> bool:
        """Whether no filter keeps anything for it."""
        return not self._connection.notes

    def forget(self) -> None:
        """It goes on in another process, and its connections are no longer here."""
        closing = self._begin_to_close("proxy", LOST, "handed over", time.monotonic())
        closing.is_over = True
        closing.cut()
        self.clock.ended(self)
        self._connection.forget()
        self.client.part()
        self.backend.part()

    # What the relay tells

    def on_open(self, opened: Callable[[], None]) -> None:
        """It begins. Call `opened` when it may be read."""
        self._connection.opened(self)
        if self.hooks is None:
            opened()
        else:
            self.hooks.open(opened)

    def spawn(self, running: Callable[[], Awaitable[None]]) -> None:
        """Run this in a task; a fault ends the session."""
        self.clock.spawn(self, running)

    def on_bytes(
        self, leg: Leg, buffer: bytearray, start: int, end: int, sent: int, now: float
    ) -> None:
        """Pass on what `leg` has sent: ``buffer[:end]``.

        Of that ``buffer[:start]`` has been judged already, and ``buffer[:sent]`` sent.
        """
        if leg.receiving is not Receiving.OPEN:
            return  # RFC 6455 §5.5.1: data behind a Close does not count
        frames = leg.walker.frames
        if leg.lane is not None and start != end:
            if leg.lane.look(buffer, end, now):
                leg.other.write(memoryview(buffer)[:end])
            self._on_passed(leg, now)
        else:
            upto = pass_on(leg, buffer, start, end, sent, now)
            self._on_passed(leg, now)
            if upto != end:
                self.on_stop(leg, buffer, upto, end, now)
        self._on_read(leg, frames, end, now)

    def looks_on(self, leg: Leg, buffer: bytearray, end: int, now: float) -> bool:
        """The same where filters read what `leg` sends; it is settled where that is needed. When it
        is true, ``buffer[:end]`` is still to be sent as it came.
        """
        lane, frames = leg.lane, leg.walker.frames
        if lane is None or leg.receiving is not Receiving.OPEN:
            return False
        if lane.look(buffer, end, now):
            if self._closing is None and leg.walker.frames - frames <= FLOOD_FRAMES:
                return True
            leg.other.write(memoryview(buffer)[:end])
        self._on_passed(leg, now)
        self._on_read(leg, frames, end, now)
        if not (self._closing is None and lane.is_quiet and is_unhindered(leg)):
            self.settle(now)
        return False

    def on_spliced(self, leg: Leg, count: int, rest: bytes, now: float) -> None:
        """`count` bytes of the frame that `leg` is at were sent, but for the `rest` of them."""
        leg.walker.remaining -= count
        if rest and leg.other.sending not in SEALED:
            leg.other.keep(rest)
        self._on_passed(leg, now)

    def on_filled(self, leg: Leg, count: int, now: float) -> None:
        """`count` bytes of a large message have come to where its lane wants them."""
        assert leg.lane is not None
        frames = leg.walker.frames
        leg.lane.fill(count, now)
        self._on_passed(leg, now)
        self._on_read(leg, frames, count, now)

    def on_end(self, leg: Leg, now: float) -> None:
        """`leg` will send nothing more: the end of its stream, or a reset."""
        is_lost = leg.receiving is Receiving.OPEN
        leg.end()
        if is_lost:
            self._begin_to_close(leg.role, LOST, "lost", now).lose(leg, now)

    def on_failure(self, now: float) -> None:
        """There is a fault of ours in this session: end it, and only it; at the second, at once."""
        closing = self._begin_to_close("proxy", INTERNAL_ERROR, "internal error", now)
        if closing.failed:
            self.cut()
            return
        closing.failed = True
        self.client.discard()
        self.backend.discard()
        closing.close_both(INTERNAL_ERROR, "internal error", now)

    def check(self, now: float) -> None:
        """Act on time that has passed, and have the clock call again."""
        if not self._checked:
            self._checked = True
            self._find_dead_peers()
        if self.hooks is not None and self._closing is None:
            self.clock.schedule(self, self.hooks.tick(now))
        if self._closing is None:
            self.clock.schedule(self, self._watch(now))
        if self._closing is not None:  # what was due may have begun the end
            self._closing.pursue(now)
        self.settle(now)

    def _find_dead_peers(self) -> None:
        """Have the kernel end connections whose peer is gone. Done when the clock first looks:
        many sessions do not live that long.
        """
        limits = self._limits
        for leg in (self.client, self.backend):
            if leg.sock is not None:  # pings of our own make probes of the kernel's unnecessary
                probe = limits.ping_interval == inf
                find_dead_peer(leg.sock, limits.slow_reader + KERNEL_GRACE, probe)

    def settle(self, now: float) -> None:
        """Take the session as far as it can go, and wait for what it needs then. To be called
        after whatever may have changed that.
        """
        if self.hooks is not None:
            if self.hooks.is_calling:
                self.hooks.acted = True  # who calls the hook settles it then
                return
            self._settle_lanes(now)
        closing = self._closing
        if closing is not None:
            if closing.settle(now):
                self._finish(closing)
                return
            if closing.wake < self.wake:
                self.clock.schedule(self, closing.wake)
        update_interest(self.client)
        update_interest(self.backend)

    def cut(self) -> None:
        """Close both connections as they are."""
        closing = self._begin_to_close("proxy", LOST, "cut", time.monotonic())
        closing.cut()
        self._finish(closing)

    # What follows from it

    def _on_read(self, leg: Leg, frames: int, size: int, now: float) -> None:
        """`leg` has sent so many bytes; before, it had sent so many `frames`."""
        adapt_read_size(leg, leg.walker.frames - frames, size)
        if leg.meter is not None:
            wait = leg.meter.take(leg.walker.messages, leg.walker.bytes, now)
            if wait and not self.closing:
                self._on_excess(leg, wait, now)

    def _on_passed(self, leg: Leg, now: float) -> None:
        """Bytes that `leg` has sent were passed on, as far as they could be."""
        self._watch_reader(leg.other, now)
        if self._closing is not None and not leg.other.is_within_frame:
            self._closing.frame_ended(leg, now)

    def _watch_reader(self, leg: Leg, now: float) -> None:
        if leg.pending is not None:  # the peer may have stopped reading
            self.clock.schedule(self, now + self._limits.slow_reader / LOOKS)

    def _settle_lanes(self, now: float) -> None:
        for leg in (self.client, self.backend):
            if leg.lane is not None and leg.lane.waits:
                leg.lane.go_on(now)
                self._watch_reader(leg.other, now)
            if leg.lane is not None and leg.other.sending in SEALED:
                leg.lane.end(now)

    def fail(self, fault: str) -> None:
        """A filter has done what it may not."""
        now = time.monotonic()
        log.error("session %s: %s", self.opening.id, fault)
        closing = self._begin_to_close("proxy", INTERNAL_ERROR, fault, now)
        closing.close_both(INTERNAL_ERROR, "a filter failed", now)

    def on_stop(self, leg: Leg, buffer: bytearray, pos: int, end: int, now: float) -> None:
        """The walker stopped at `pos`: at a Close, at a fault, or for want of bytes."""
        fault, control = leg.walker.fault, leg.walker.control
        if fault is not None:
            leg.discard()
            self._blame_sender(leg, fault.code, fault.reason, now)
        elif control is not None:
            code = NO_CODE if control.code is None else control.code
            closing = self._begin_to_close(leg.role, code, "closed", now)
            closing.pass_close(leg, bytes(buffer[pos : pos + control.size]), now)
        else:
            leg.held = bytes(buffer[pos:end])

    def _on_excess(self, leg: Leg, wait: float, now: float) -> None:
        """`leg` may send nothing for `wait` seconds: let it wait, or end the session."""
        rate = self._limits.client_rate
        if rate is not None and rate.close:
            self._blame_sender(leg, POLICY_VIOLATION, "sends more than it may", now)
        else:
            leg.resume_at = now + wait
            self.clock.schedule(self, leg.resume_at)

    def _blame_sender(self, leg: Leg, code: int, reason: str, now: float) -> None:
        closing = self._begin_to_close("proxy", code, f"{leg.role}: {reason}", now)
        closing.blame_sender(leg, code, reason, now)

    def _begin_to_close(self, by: Side, code: int, cause: str, now: float) -> Closing:
        """The end of the session; whoever was first to begin it is what the log tells."""
        for leg in (self.client, self.backend):
            if leg.lane is not None:
                leg.lane.flush()
        if self._closing is None:
            first = (by, code, cause)
            self._closing = Closing(self.client, self.backend, self._limits, first, now)
        return self._closing

    def _finish(self, closing: Closing) -> None:
        """Both connections are closed."""
        if closing.is_over:
            return
        closing.is_over = True
        self.clock.ended(self)
        first = closing.by, closing.code, closing.cause
        ending = Ending(*first, time.monotonic() - self._opened, *self.traffic())
        try:
            if self.hooks is None:
                self._connection.over(ending)
            else:
                self._settle_lanes(time.monotonic())
                self.hooks.end(ending, partial(self._over, ending))
        finally:
            self.client.part()
            self.backend.part()

    def _over(self, ending: Ending) -> None:
        self.hooks = None
        self._connection.over(ending)

    def _watch(self, now: float) -> float:
        """Do what the watchdog decides; when to ask it again."""
        client, backend = self.client, self.backend
        if client.resume_at and now >= client.resume_at:
            client.resume_at = 0.0
        while True:
            decision = self._watchdog.look(client, backend, now)
            if isinstance(decision, Due):
                return min(decision.when, client.resume_at or inf)
            if isinstance(decision, End):
                self._end(decision, now)
                return inf
            send_ping(decision.leg, decision.payload)

    def _end(self, decision: End, now: float) -> None:
        code, reason, culprit = decision
        if culprit is None:
            self._begin_to_close("proxy", code, reason, now).close_both(code, reason, now)
        else:
            closing = self._begin_to_close("proxy", code, f"{culprit.role}: {reason}", now)
            closing.blame(culprit, code, reason, now)


def _frame_of(data: Data, leg: Leg) -> bytes:
    mask = new_mask() if leg.role == "backend" else None  # RFC 6455 §5.3
    if isinstance(data, str):
        return encode_frame(0x81, data.encode(), mask)
    return encode_frame(0x82, data, mask)


def _traffic_of(leg: Leg) -> Traffic:
    return Traffic(leg.walker.messages, leg.walker.bytes, leg.heartbeat.rtt)
