"""What may end a session besides its peers: a slow reader, silence, idleness, age.

`Watchdog.look` is called by the clock, a few times within each limit, and never for a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import random
from typing import TYPE_CHECKING

from .frames import Walker
from .rates import Rate

if TYPE_CHECKING:
    from .leg import Leg
    from .session import RelaySession

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


class Watchdog:
    """Watches one session that is not closing yet."""

    __slots__ = ("_expires", "_farewell", "_limits", "_moved", "_moved_at")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._expires = now + limits.max_age * (1 - AGE_JITTER * random())
        self._farewell = (GOING_AWAY, "the session has reached its maximum age")
        self._moved = ((0, 0), (0, 0))
        self._moved_at = now

    def expire(self, when: float, code: int, reason: str) -> None:
        """Have the session closed at `when`, unless it would be before that anyway."""
        if when < self._expires:
            self._expires, self._farewell = when, (code, reason)

    def look(self, session: RelaySession, now: float) -> float:
        """Close the session if it is time to; else, when to look again."""
        wake = min(self._age(session, now), self._idleness(session, now))
        for leg in (session.client, session.backend):
            if session.closing:
                return now
            wake = min(wake, self._pause(leg, now), self._slowness(session, leg, now))
            if self._limits.ping_interval != inf:
                wake = min(wake, self._silence(session, leg, now))
            if leg.heartbeat.wanted:
                wake = min(wake, self._measurement(session, leg, now))
        return wake

    def _age(self, session: RelaySession, now: float) -> float:
        if now >= self._expires:
            session.close_both(*self._farewell, now)
        return self._expires

    def _idleness(self, session: RelaySession, now: float) -> float:
        """Idle is a session in which no data frame moves, on whichever side. Nothing is noted
        when one does; so this looks a few times within the limit, and may be as much late.
        """
        idle = self._limits.idle
        if idle == inf or session.closing:
            return inf
        client, backend = session.client, session.backend
        moved = (_data_of(client.walker), _data_of(backend.walker))
        if moved != self._moved or not (client.wants_bytes and backend.wants_bytes):
            self._moved, self._moved_at = moved, now
        if now >= self._moved_at + idle:
            session.close_both(GOING_AWAY, f"no message for {idle:g} s", now)
        return min(self._moved_at + idle, now + idle / LOOKS)

    def _pause(self, leg: Leg, now: float) -> float:
        """Read a leg again that had sent more than it may."""
        if leg.resume_at and now >= leg.resume_at:
            leg.resume_at = 0.0
        return leg.resume_at or inf

    def _slowness(self, session: RelaySession, leg: Leg, now: float) -> float:
        """A slow reader takes nothing. That it takes little is seen in the kernel first: a socket
        has room for us again only after a good part of its queue has gone.
        """
        if leg.pending is None:
            return inf
        limit = self._limits.slow_reader
        progress = leg.gauge(now)
        if progress.stands_still(limit, now):
            session.blame(leg, POLICY_VIOLATION, "reads too slowly", now)
        return min(progress.since + limit, now + limit / LOOKS)

    def _silence(self, session: RelaySession, leg: Leg, now: float) -> float:
        limits, heartbeat, others = self._limits, leg.heartbeat, leg.other.walker
        heartbeat.hear(leg.walker, others, leg.wants_bytes, now)
        stuck = heartbeat.is_asked and self._is_stuck(leg, now)
        due = heartbeat.look(others, leg.written, limits.ping_interval, limits.ping_timeout, now)
        if due < 0 or stuck:
            leg.progress.give_up()
            session.close_both(GOING_AWAY, f"the {leg.role} does not answer", now)
        elif due == 0:
            if others.remaining or leg.pending is not None:
                return now + RETRY  # we are in the middle of a frame to it
            session.send_ping(leg, heartbeat.ask(now, leg.written), now)
        return now + limits.ping_timeout / LOOKS if heartbeat.is_asked else due

    def _measurement(self, session: RelaySession, leg: Leg, now: float) -> float:
        """Send the ping that somebody has asked for, in between two frames."""
        heartbeat, others = leg.heartbeat, leg.other.walker
        heartbeat.hear(leg.walker, others, leg.wants_bytes, now)
        if others.remaining or leg.pending is not None or not heartbeat.may_measure(others):
            return now + RETRY
        session.send_ping(leg, heartbeat.measure(now), now)
        return inf

    def _is_stuck(self, leg: Leg, now: float) -> bool:
        """Whether a ping does not get through to `leg`, which has taken nothing of what stands in
        front of it for as long as a slow reader may.
        """
        progress = leg.gauge(now)
        reached = leg.heartbeat.note_taken(progress.taken, now)
        return not reached and progress.stands_still(self._limits.slow_reader, now)


def _data_of(walker: Walker) -> tuple[int, int]:
    """What changes when data frames come: their number, and how far the current one is."""
    return walker.frames - walker.pings - walker.pongs, walker.remaining
