"""How a session comes to an end (RFC 6455 §7): Closes in between frames, then the connections.

    a Close that is passed on    byte for byte, and its answer the same way
    a Close of ours              as soon as the frame that is on its way is whole
    one for what it has sent     behind the other side's answers to what it sent before
    a side that is lost          1001 or 1011 to the other one
    the TCP connections          each shut down after the Closes, the backend's side first
    whoever is slow with it      cut off; not while it still takes what waits for it

Whoever closed first is what the log will tell.
"""

from __future__ import annotations

import time
from math import inf

from easews import Ending, Side, Traffic

from .frames import Control, encode_close, new_mask
from .leg import Leg
from .watchdog import GOING_AWAY, LOOKS, Limits

NO_CODE = 1005
LOST = 1006


class Closing:
    """The end of a session with these two legs; what it does besides is `RelaySession`."""

    __slots__ = (
        "_deadline",
        "_first",
        "_limits",
        "_opened",
        "_over",
        "backend",
        "client",
    )

    def __init__(self, client: Leg, backend: Leg, limits: Limits) -> None:
        self.client = client
        self.backend = backend
        self._limits = limits
        self._opened = time.monotonic()
        self._deadline = inf
        self._over = False
        self._first: tuple[Side, int, str] | None = None

    def due(self, when: float) -> None:
        """Have the clock look at this session by then."""
        raise NotImplementedError

    def over(self, ending: Ending) -> None:
        """Both connections are closed. Called once."""
        raise NotImplementedError

    @property
    def closing(self) -> bool:
        """Whether the session has begun to end."""
        return self._first is not None

    def traffic(self) -> tuple[Traffic, Traffic]:
        """What client and backend have sent so far."""
        client, backend = self.client, self.backend
        return (
            Traffic(client.walker.messages, client.walker.bytes, client.heartbeat.rtt),
            Traffic(backend.walker.messages, backend.walker.bytes, backend.heartbeat.rtt),
        )

    def blame(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """End the session for what `leg` did: it is told so, the other side is told less."""
        self._begin_to_close("proxy", code, f"{leg.role}: {reason}", now)
        self._send_close(leg, code, reason, now)
        self._send_close(leg.other, GOING_AWAY, f"the {leg.role} was at fault", now)
        self._settle(now)

    def blame_sender(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """The same for what `leg` has sent. What it had sent before is still answered: its Close
        comes behind what the other side sends until its own, or for as long as a Close may take.
        """
        other = leg.other
        if other.eof or other.mute or other.close_received:  # no more answers will come
            self.blame(leg, code, reason, now)
        elif leg.owed_close is None:
            self._begin_to_close("proxy", code, f"{leg.role}: {reason}", now)
            leg.owed_close = _close_to(leg, code, reason)
            self._send_close(other, GOING_AWAY, f"the {leg.role} was at fault", now)
            self._settle(now)

    def close_both(self, code: int, reason: str, now: float) -> None:
        """End the session for a reason of ours."""
        self._begin_to_close("proxy", code, reason, now)
        self._send_close(self.client, code, reason, now)
        self._send_close(self.backend, code, reason, now)
        self._settle(now)

    def cut(self) -> None:
        """Close both connections as they are."""
        self._first = self._first or ("proxy", LOST, "cut")
        self.backend.close()
        self.client.close()
        self._finish()

    def unwritable(self, leg: Leg) -> None:
        """The peer takes nothing more. What it has sent before may still wait to be read, and
        the end of that will tell; so only the way out is given up here.
        """
        leg.give_up()
        leg.seal()
        leg.shut = True

    def _lose(self, leg: Leg, now: float) -> None:
        """`leg` is gone without a Close: the other side is told."""
        self._begin_to_close(leg.role, LOST, "lost", now)
        code = self._limits.backend_lost_code if leg.role == "backend" else GOING_AWAY
        self._send_close(leg.other, code, f"the {leg.role} was lost", now)

    def _on_close(self, leg: Leg, close: Control, frame: bytes, now: float) -> None:
        """Pass a Close on, byte for byte; the answer to it comes the same way."""
        leg.close_received = True
        code = NO_CODE if close.code is None else close.code
        self._begin_to_close(leg.role, code, "closed", now)
        if not leg.other.close_sent:
            self._put_close(leg.other, frame, now)
        self._settle(now)

    def _at_boundary(self, leg: Leg, now: float) -> None:
        """`leg` has sent a frame to its end: now a Close of ours can go behind it."""
        if leg.other.due_close is not None:
            self._put_close(leg.other, leg.other.due_close, now)
            self._settle(now)

    def _begin_to_close(self, by: Side, code: int, cause: str, now: float) -> None:
        if not self.closing:
            self._first = (by, code, cause)
            self.client.resume_at = 0.0  # its Close is waited for, whatever it has sent before
            self._extend(now)

    def _extend(self, now: float) -> None:
        self._deadline = now + self._limits.close
        self.due(now + self._limits.close / LOOKS)

    def _pursue(self, now: float) -> float:
        """Take the end as far as it can go by now; return when to look again. The time that a
        Close may take begins when the peers have taken all that stands in front of it.
        """
        step = self._limits.close / LOOKS
        takers = [leg for leg in (self.backend, self.client) if self._takes(leg, now)]
        # Before its Close a peer is waited for only while it makes the other side wait: that one
        # might go on sending without end.
        if any(leg.close_sent or leg.pending is not None for leg in takers):
            self._deadline = now + step + self._limits.close
        self._settle(now)
        if now >= self._deadline and not self._over and not self._close_late(now):
            self.cut()
        return inf if self._over else min(self._deadline, now + step)

    def _takes(self, leg: Leg, now: float) -> bool:
        """Whether the peer is still taking what it was sent."""
        if leg.wire is None:
            return False
        progress = leg.gauge(now)
        return progress.waiting > 0 and not progress.stands_still(self._limits.slow_reader, now)

    def _close_late(self, now: float) -> bool:
        """What should come in front of a Close has not come in time: do without it. False when
        all has been tried.
        """
        for leg in (self.backend, self.client):
            if leg.wire is None or leg.close_sent:
                continue
            if leg.owed_close is not None and leg.due_close is None:
                self._queue_close(leg, leg.owed_close, now)
            elif self._takes(leg, now):
                self._end_bare(leg)
            else:
                continue
            self._extend(now)
            self._settle(now)
            return True
        return False

    def _send_close(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """A Close of ours, now or when the frame that is on its way to `leg` is whole."""
        if not leg.close_sent:
            self._queue_close(leg, _close_to(leg, code, reason), now)

    def _queue_close(self, leg: Leg, frame: bytes, now: float) -> None:
        source = leg.other
        if not source.walker.remaining:
            self._put_close(leg, frame, now)
        elif source.eof or source.mute:
            self._end_bare(leg)
            if source.eof:
                source.seal()  # whoever left in the middle gets no Close either
        else:
            leg.due_close = frame

    def _end_bare(self, leg: Leg) -> None:
        """The frame that is on its way will never be whole, so no Close can stand behind it: the
        bare end of the connection has to tell.
        """
        leg.due_close = None
        leg.seal()
        leg.mute = True

    def _put_close(self, leg: Leg, frame: bytes, now: float) -> None:
        if leg.due_close is not None or leg.owed_close is not None:
            leg.due_close = None
            self._extend(now)  # the peer gets its time to answer, though ours went on waiting
        alive = leg.insert(leg.owed_close or frame)
        leg.seal()
        if not alive:
            self.unwritable(leg)

    def _settle(self, now: float) -> None:
        """Take each connection as far as it can go by now, and see whether all is over."""
        for leg in (self.backend, self.client):
            if leg.wire is not None and leg.close_sent and leg.pending is None:
                if leg.eof and not leg.gauge(now).waiting:
                    leg.close()
                elif leg.eof or leg.mute or (leg.close_received and leg.role == "client"):
                    leg.shutdown()  # RFC 6455 §7.1.1: then read until the peer ends it, too
        self._finish()

    def _finish(self) -> None:
        if self._over or self.client.wire is not None or self.backend.wire is not None:
            return
        self._over = True
        self._deadline = inf
        by, code, cause = self._first or ("proxy", LOST, "cut")
        duration = time.monotonic() - self._opened
        try:
            self.over(Ending(by, code, cause, duration, *self.traffic()))
        finally:
            self.client.part()
            self.backend.part()


def _close_to(leg: Leg, code: int, reason: str) -> bytes:
    mask = new_mask() if leg.role == "backend" else None  # RFC 6455 §5.3
    return encode_close(code, reason, mask)
