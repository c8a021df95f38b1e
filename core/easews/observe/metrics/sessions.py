"""Sessions that open and end, and the traffic of open ones.

Nobody counts messages for this: the session has its figures anyway, and they are read when
somebody asks. What has ended is added up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from ...sessions import Ending, Session, Traffic
from .catalogue import (
    HANDSHAKE_DURATION,
    PING_RTT,
    SESSION_BYTES,
    SESSION_DURATION,
    SESSION_HELD,
    SESSION_MESSAGES,
    SESSIONS_CLOSED,
    SESSIONS_OPEN,
    SESSIONS_OPENED,
    SESSIONS_TAKEN_OVER,
    Figures,
    Row,
    code_label,
)
from .histogram import LENGTHS, WAITS, Histogram
from .ways import ByWay, Way

_SENDERS = ("client", "backend")
_NOTHING = Traffic()
_NEW = _NOTHING, _NOTHING


@dataclass(slots=True)
class _Sum:
    """What one side has sent in many sessions."""

    messages: int = 0
    bytes: int = 0

    def add(self, traffic: Traffic | _Sum, before: Traffic = _NOTHING) -> None:
        self.messages += traffic.messages - before.messages
        self.bytes += traffic.bytes - before.bytes


@dataclass(slots=True)
class _Both:
    client: _Sum = field(default_factory=_Sum)
    backend: _Sum = field(default_factory=_Sum)


@dataclass(slots=True)
class _Past(_Both):
    """The sessions of one way that have opened or come, and that are over."""

    opened: int = 0
    taken_over: int = 0
    closed: Counter[tuple[str, str]] = field(default_factory=Counter)
    handshakes: Histogram = field(default_factory=lambda: Histogram(WAITS))
    lengths: Histogram = field(default_factory=lambda: Histogram(LENGTHS))


@dataclass(slots=True)
class _Present(_Both):
    """The open sessions of one way; what was sent includes that of those that are over."""

    open: int = 0
    held: int = 0


class SessionCounts:
    """Its methods `opened` and `ended` listen to `Sessions`.

    Of sessions that were taken over from another process, that one has counted that they have
    opened, and what they had sent by then.

    before  what these had sent when they came, by their ids
    """

    def __init__(self) -> None:
        self.ways: ByWay[_Past] = ByWay(_Past)
        self.before: dict[str, tuple[Traffic, Traffic]] = {}

    def opened(self, session: Session) -> None:
        """A session has opened."""
        past, opening = self.ways[_way(session)], session.opening
        if opening.taken_over:
            past.taken_over += 1
            self.before[opening.id] = session.traffic()
            return
        past.opened += 1
        past.handshakes.add(opening.handshake)

    def ended(self, session: Session, ending: Ending) -> None:
        """A session is over."""
        past = self.ways[_way(session)]
        past.closed[ending.by, code_label(ending.code)] += 1
        past.lengths.add(ending.duration)
        before = self.before.pop(session.opening.id, _NEW)
        past.client.add(ending.from_client, before[0])
        past.backend.add(ending.from_backend, before[1])

    def figures(self, present: OpenSessions) -> Iterator[Figures]:
        """The figures, with those of open sessions."""
        ways = list(self.ways)
        yield SESSIONS_OPEN, present.rows("open")
        yield SESSIONS_OPENED, [(way, past.opened) for way, past in ways]
        yield SESSIONS_TAKEN_OVER, [(way, past.taken_over) for way, past in ways]
        closed = ((way, past.closed.items()) for way, past in ways)
        yield SESSIONS_CLOSED, [((*way, *how), n) for way, counts in closed for how, n in counts]
        yield SESSION_DURATION, [(way, past.lengths) for way, past in ways]
        yield HANDSHAKE_DURATION, [(way, past.handshakes) for way, past in ways]
        yield SESSION_MESSAGES, present.sent("messages")
        yield SESSION_BYTES, present.sent("bytes")
        yield SESSION_HELD, present.rows("held")
        yield PING_RTT, present.pings()


class OpenSessions:
    """The open sessions at one time, which are added one by one.

    The figures of `past` are copied first. So what was sent never becomes less from one time to
    the next, even if sessions end while others are added, as long as nobody else does the same
    meanwhile.
    """

    def __init__(self, past: SessionCounts) -> None:
        self._ways: defaultdict[Way, _Present] = defaultdict(_Present)
        self._rtts: dict[tuple[str, str], Histogram] = {}
        self._before = dict(past.before)
        for way, counts in past.ways:
            for sender in _SENDERS:
                getattr(self._ways[way], sender).add(getattr(counts, sender))

    def add(self, session: Session) -> None:
        """Add a session, which may have ended since the figures were copied."""
        way = _way(session)
        present = self._ways[way]
        present.open += 1
        present.held += session.held
        before = self._before.get(session.opening.id, _NEW)
        for side, traffic, old in zip(_SENDERS, session.traffic(), before, strict=True):
            getattr(present, side).add(traffic, old)
            if traffic.rtt is not None:
                self._rtts.setdefault((way[0], side), Histogram(WAITS)).add(traffic.rtt)

    def rows(self, what: str) -> Iterator[Row]:
        """This attribute of each way."""
        for way, present in self._ways.items():
            yield way, getattr(present, what)

    def sent(self, what: str) -> Iterator[Row]:
        """This attribute of what each side has sent."""
        for way, present in self._ways.items():
            for sender in _SENDERS:
                yield (*way, sender), attrgetter(f"{sender}.{what}")(present)

    def pings(self) -> Iterator[Row]:
        """The times of the last pongs."""
        yield from self._rtts.items()


def _way(session: Session) -> Way:
    route = session.opening.route
    return route.server, route.path
