"""A session from its beginning to its end: what is due in it, and how it comes to an end.

What is called here may change what a session waits for: whoever calls it calls `settle` then. How
Closes and connections follow each other is in `closing`, what may end a session besides its peers
in `watchdog`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Protocol

from easews import Connection, Ending, Opening, Side, Traffic

from .closing import LOST, Closing
from .deadpeer import find_dead_peer
from .endstates import SEALED, Receiving
from .forwarding import send_ping
from .hookrunner import HookRunner
from .interest import update_interest
from .leg import Leg
from .rates import Meter
from .sizes import FLOOD_BYTES
from .watchdog import LOOKS, Due, End, Limits, Watchdog

log: logging.Logger = logging.getLogger("easews.wsproxy")

INTERNAL_ERROR = 1011


class Clock(Protocol):
    """What a session asks of the relay."""

    def schedule(self, session: Lifecycle, when: float) -> None:
        """Call `check` soon after `when`, unless it will be called before that anyway."""

    def ended(self, session: Lifecycle) -> None:
        """The session is over."""

    def spawn(self, session: Lifecycle, running: Callable[[], Awaitable[None]]) -> None:
        """Run this in a task; a fault ends the session."""

    async def sleep(self, seconds: float) -> None:
        """Wait for so long."""


class Lifecycle:
    """What the relay has of a session.

    closing  how it comes to its end, once that has begun
    clock    the relay
    wake     when the clock calls `check`: the wheel's, as is the `slot`
    """

    __slots__ = (
        "_checked",
        "_connection",
        "_opened",
        "_watchdog",
        "backend",
        "client",
        "clock",
        "closing",
        "hooks",
        "limits",
        "slot",
        "wake",
    )

    def __init__(self, connection: Connection, client: Leg, backend: Leg, limits: Limits) -> None:
        self._connection = connection
        self.limits = limits
        self._opened = time.monotonic()
        self._watchdog = Watchdog(limits, self._opened)
        self._checked = False
        self.closing: Closing | None = None
        self.client = client
        self.backend = backend
        self.hooks: HookRunner | None = None
        self.clock: Clock
        self.wake = inf
        self.slot = 0
        client.other, backend.other = backend, client
        if limits.client_rate is not None:
            client.meter = Meter(limits.client_rate, self._opened)
            client.read_size = FLOOD_BYTES  # until its messages turn out to be large

    @property
    def opening(self) -> Opening:
        return self._connection.opening

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.closing is not None and self.closing.is_over

    def traffic(self) -> tuple[Traffic, Traffic]:
        return _traffic_of(self.client), _traffic_of(self.backend)

    # What is due

    def check(self, now: float) -> None:
        """Act on time that has passed, and have the clock call again."""
        if not self._checked:
            self._checked = True
            self._find_dead_peers()
        if self.hooks is not None and self.closing is None:
            self.clock.schedule(self, self.hooks.tick(now))
        if self.closing is None:
            self.clock.schedule(self, self._watch(now))
        if self.closing is not None:  # what was due may have begun the end
            self.closing.pursue(now)
        self.settle(now)

    def _find_dead_peers(self) -> None:
        """Have the kernel end connections whose peer is gone. Done when the clock first looks:
        many sessions do not live that long.
        """
        limits = self.limits
        for leg in (self.client, self.backend):
            if leg.sock is not None:  # pings of our own make probes of the kernel's unnecessary
                find_dead_peer(leg.sock, limits.slow_reader, probe=limits.ping_interval == inf)

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
                self.end(decision, now)
                return inf
            send_ping(decision.leg, decision.payload)

    def watch_reader(self, leg: Leg, now: float) -> None:
        """`leg` was sent something: if that is pending, the peer may have stopped reading."""
        if leg.pending is not None:
            self.clock.schedule(self, now + self.limits.slow_reader / LOOKS)

    def settle(self, now: float) -> None:
        """Take the session as far as it can go, and wait for what it needs then. To be called
        after whatever may have changed that.
        """
        if self.hooks is not None:
            if self.hooks.is_calling:
                self.hooks.acted = True  # who calls the hook settles it then
                return
            self._settle_lanes(now)
        closing = self.closing
        if closing is not None:
            if closing.settle(now):
                self._finish(closing)
                return
            if closing.wake < self.wake:
                self.clock.schedule(self, closing.wake)
        update_interest(self.client)
        update_interest(self.backend)

    def _settle_lanes(self, now: float) -> None:
        for leg in (self.client, self.backend):
            if leg.lane is not None and leg.lane.waits:
                leg.lane.go_on(now)
                self.watch_reader(leg.other, now)
            if leg.lane is not None and leg.other.sending in SEALED:
                leg.lane.end(now)

    # How it ends

    def begin_to_close(self, by: Side, code: int, cause: str, now: float) -> Closing:
        """The end of the session; whoever was first to begin it is what the log tells."""
        for leg in (self.client, self.backend):
            if leg.lane is not None:
                leg.lane.flush()
        if self.closing is None:
            first = (by, code, cause)
            self.closing = Closing(self.client, self.backend, self.limits, first, now)
        return self.closing

    def end(self, decision: End, now: float) -> None:
        """Close it as was decided."""
        code, reason, culprit = decision
        if culprit is None:
            self.begin_to_close("proxy", code, reason, now).close_both(code, reason, now)
        else:
            closing = self.begin_to_close("proxy", code, f"{culprit.role}: {reason}", now)
            closing.blame(culprit, code, reason, now)

    def blame_sender(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """Close it for what `leg` has sent."""
        closing = self.begin_to_close("proxy", code, f"{leg.role}: {reason}", now)
        closing.blame_sender(leg, code, reason, now)

    def fail(self, fault: str) -> None:
        """A filter has done what it may not."""
        now = time.monotonic()
        log.error("session %s: %s", self.opening.id, fault)
        closing = self.begin_to_close("proxy", INTERNAL_ERROR, fault, now)
        closing.close_both(INTERNAL_ERROR, "a filter failed", now)

    def on_end(self, leg: Leg, now: float) -> None:
        """`leg` will send nothing more: the end of its stream, or a reset."""
        is_lost = leg.receiving is Receiving.OPEN
        leg.end()
        if is_lost:
            self.begin_to_close(leg.role, LOST, "lost", now).lose(leg, now)

    def on_failure(self, now: float) -> None:
        """There is a fault of ours in this session: end it, and only it; at the second, at once."""
        closing = self.begin_to_close("proxy", INTERNAL_ERROR, "internal error", now)
        if closing.failed:
            self.cut()
            return
        closing.failed = True
        self.client.discard()
        self.backend.discard()
        closing.close_both(INTERNAL_ERROR, "internal error", now)

    def cut(self) -> None:
        """Close both connections as they are."""
        closing = self.begin_to_close("proxy", LOST, "cut", time.monotonic())
        closing.cut()
        self._finish(closing)

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


def _traffic_of(leg: Leg) -> Traffic:
    return Traffic(leg.walker.messages, leg.walker.bytes, leg.heartbeat.rtt)
