"""What may end a session besides its peers: a slow reader, silence, idleness, age.

`Watchdog.look` is called by the clock, a few times within each limit, and never for a message. It
decides; the session acts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from random import random
from typing import NamedTuple

from .frames import Walker
from .interest import wants_bytes
from .leg import Leg
from .rates import Rate

GOING_AWAY = 1001
POLICY_VIOLATION = 1008

#: Seconds until a ping is tried again that could not be sent in the middle of a frame.
RETRY = 1.0
#: How often to look within a limit at what nobody tells us: it may be noticed so much later.
LOOKS = 8
#: The part of the maximum age by which sessions differ: those that began together, as after a
#: restart, should not end together.
AGE_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, rates and codes: what the filter's config says of its sessions. Infinity is off."""

    close: float = 5.0
    slow_reader: float = 60.0
    ping_interval: float = inf
    ping_timeout: float = 20.0
    idle: float = inf
    max_age: float = inf
    client_rate: Rate | None = None
    backend_lost_code: int = 1011


class Due(NamedTuple):
    """Nothing is to be done until `when`."""

    when: float


class End(NamedTuple):
    """The session is to be closed: for what `culprit` does, or for a reason of ours."""

    code: int
    reason: str
    culprit: Leg | None = None


TOO_OLD = End(GOING_AWAY, "the session has reached its maximum age")


class Ping(NamedTuple):
    """`leg` is to be sent a ping with this payload now, in between two frames."""

    leg: Leg
    payload: bytes


class Watchdog:
    """Watches one session that is not closing yet."""

    __slots__ = ("_expires", "_farewell", "_limits", "_moved", "_moved_at")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._expires = now + limits.max_age * (1 - AGE_JITTER * random())
        self._farewell = TOO_OLD
        self._moved = ((0, 0), (0, 0))
        self._moved_at = now

    def expire(self, when: float, code: int, reason: str) -> None:
        """Have the session closed at `when`, unless it would be before that anyway."""
        if when < self._expires:
            self._expires, self._farewell = when, End(code, reason)

    def look(self, client: Leg, backend: Leg, now: float) -> Due | End | Ping:
        """What to do now; after a `Ping`, look again."""
        wake = inf
        for decision in self._decisions(client, backend, now):
            if not isinstance(decision, Due):
                return decision
            wake = min(wake, decision.when)
        return Due(wake)

    def _decisions(self, client: Leg, backend: Leg, now: float) -> Iterator[Due | End | Ping]:
        yield self._farewell if now >= self._expires else Due(self._expires)
        if self._limits.idle != inf:
            yield self._idleness(client, backend, now)
        for leg in (client, backend):
            if leg.pending is not None:
                yield self._slowness(leg, now)
            if self._limits.ping_interval != inf:
                yield self._silence(leg, now)
            if leg.heartbeat.wanted:
                yield self._measurement(leg, now)

    def _idleness(self, client: Leg, backend: Leg, now: float) -> Due | End:
        """Idle is a session in which no data frame moves, on whichever side. Nothing is noted
        when one does; so this looks a few times within the limit, and may be as much late.
        """
        idle = self._limits.idle
        moved = (_data_of(client.walker), _data_of(backend.walker))
        if moved != self._moved or not (wants_bytes(client) and wants_bytes(backend)):
            self._moved, self._moved_at = moved, now
        if now >= self._moved_at + idle:
            return End(GOING_AWAY, f"no message for {idle:g} s")
        return Due(min(self._moved_at + idle, now + idle / LOOKS))

    def _slowness(self, leg: Leg, now: float) -> Due | End:
        """A slow reader takes nothing. That it takes little is seen in the kernel first: a socket
        has room for us again only after a good part of its queue has gone.
        """
        limit = self._limits.slow_reader
        progress = leg.gauge(now)
        if progress.stands_still(limit, now):
            return End(POLICY_VIOLATION, "reads too slowly", leg)
        return Due(min(progress.since + limit, now + limit / LOOKS))

    def _silence(self, leg: Leg, now: float) -> Due | End | Ping:
        limits, heartbeat, others = self._limits, leg.heartbeat, leg.other.walker
        heartbeat.hear(leg.walker, others, _may_answer(leg), now)
        stuck = heartbeat.is_asked and self._is_stuck(leg, now)
        due = heartbeat.look(others, leg.written, limits.ping_interval, limits.ping_timeout, now)
        if due < 0 or stuck:
            leg.progress.give_up()
            return End(GOING_AWAY, f"the {leg.role} does not answer")
        if due == 0:
            if leg.is_within_frame or leg.pending is not None:
                return Due(now + RETRY)
            return Ping(leg, heartbeat.ask(now, leg.written))
        return Due(now + limits.ping_timeout / LOOKS if heartbeat.is_asked else due)

    def _measurement(self, leg: Leg, now: float) -> Due | Ping:
        """The ping that somebody has asked for."""
        heartbeat, others = leg.heartbeat, leg.other.walker
        heartbeat.hear(leg.walker, others, wants_bytes(leg), now)
        if leg.is_within_frame or leg.pending is not None or not heartbeat.may_measure(others):
            return Due(now + RETRY)
        return Ping(leg, heartbeat.measure(now))

    def _is_stuck(self, leg: Leg, now: float) -> bool:
        """Whether a ping does not get through to `leg`, which has taken nothing of what stands in
        front of it for as long as a slow reader may.
        """
        progress = leg.gauge(now)
        reached = leg.heartbeat.note_taken(progress.taken, now)
        return not reached and progress.stands_still(self._limits.slow_reader, now)


def _may_answer(leg: Leg) -> bool:
    """Whether its silence means anything. A ping of the other side may wait behind a message that a
    filter is at.
    """
    lane = leg.other.lane
    return wants_bytes(leg) and not (lane is not None and lane.awaits_filter)


def _data_of(walker: Walker) -> tuple[int, int]:
    """What changes when data frames come: their number, and how far the current one is."""
    return walker.frames - walker.pings - walker.pongs, walker.remaining
