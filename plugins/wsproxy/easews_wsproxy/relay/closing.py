"""How a session comes to an end (RFC 6455 §7): Closes in between frames, then the connections.

    a Close that is passed on    byte for byte, and its answer the same way
    a Close of ours              as soon as the frame that is being sent is complete
    one for what it has sent     behind the other side's answers to what it sent before
    a side that is lost          1001 or 1011 to the other one
    the TCP connections          each shut down after the Closes, the backend's side first
    whoever is slow with it      cut off; not while it still takes what waits for it

Which state a leg is in, and which may follow, is told by the tables of `endstates`.
"""

from __future__ import annotations

from easews import Side

from .endstates import SEALED, SHUTS_DOWN, Event, Receiving, Sending
from .frames import encode_close, new_mask
from .leg import Leg
from .watchdog import GOING_AWAY, LOOKS, Limits

#: What the log tells of a Close without a code, and of an end without a Close (RFC 6455 §7.1.5).
NO_CODE = 1005
LOST = 1006


class Closing:
    """The end of a session, from its first cause on: `by`, `code` and `cause` are what is logged.

    It acts on the legs. `wake` is when to call `pursue`; `settle` is called after every event.
    """

    __slots__ = (
        "_backend",
        "_client",
        "_deadline",
        "_limits",
        "by",
        "cause",
        "code",
        "failed",
        "is_over",
        "wake",
    )

    def __init__(
        self,
        client: Leg,
        backend: Leg,
        limits: Limits,
        first: tuple[Side, int, str],
        now: float,
    ) -> None:
        self._client = client
        self._backend = backend
        self._limits = limits
        self.by, self.code, self.cause = first
        self.failed = False  # there was a fault of ours
        self.is_over = False  # the session's end was reported
        client.resume_at = 0.0  # its Close is waited for, whatever it has sent before
        self._extend(now)

    def blame(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """Close for what `leg` did: it gets the reason, the other side only hears of a fault."""
        self._send_close(leg, code, reason, now)
        self._send_close(leg.other, GOING_AWAY, f"the {leg.role} was at fault", now)

    def blame_sender(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """The same for what `leg` has sent. What it had sent before is still answered: its Close
        comes behind what the other side sends until its own, or for as long as a Close may take.
        (When no more answers can come, it has had its Close already.)
        """
        if leg.sending in (Sending.OPEN, Sending.LAST_FRAME):
            leg.queue_close(_close_to(leg, code, reason), Event.DEFER_CLOSE)
        self._send_close(leg.other, GOING_AWAY, f"the {leg.role} was at fault", now)

    def close_both(self, code: int, reason: str, now: float) -> None:
        """Close for a reason of ours."""
        self._send_close(self._client, code, reason, now)
        self._send_close(self._backend, code, reason, now)

    def lose(self, leg: Leg, now: float) -> None:
        """`leg` has ended without a Close: tell the other side."""
        code = self._limits.backend_lost_code if leg.role == "backend" else GOING_AWAY
        self._send_close(leg.other, code, f"the {leg.role} was lost", now)

    def pass_close(self, leg: Leg, frame: bytes, now: float) -> None:
        """Pass on the Close that `leg` has sent, byte for byte; the answer comes the same way."""
        leg.get_close()
        if leg.other.sending not in SEALED:
            self._put_close(leg.other, leg.other.queued_close or frame, now)

    def frame_ended(self, leg: Leg, now: float) -> None:
        """`leg` has sent a frame to its end: now a Close that waits for that can follow."""
        frame = leg.other.queued_close
        if frame is not None and leg.other.sending is Sending.LAST_FRAME:
            self._put_close(leg.other, frame, now)

    def settle(self, now: float) -> bool:
        """Take each connection as far as it can go by now. Whether both are closed then."""
        for leg in (self._backend, self._client):
            if leg.sending not in SEALED or leg.pending is not None:
                continue
            if leg.receiving is Receiving.ENDED and not leg.gauge(now).waiting:
                leg.close()
            elif leg.sending is Sending.CLOSED and leg.receiving in SHUTS_DOWN[leg.role]:
                leg.shutdown()
        return self._client.wire is None and self._backend.wire is None

    def pursue(self, now: float) -> None:
        """Act on time that has passed. The time that a Close may take begins when the peers have
        taken all that stands in front of it.
        """
        step = self._limits.close / LOOKS
        takers = [leg for leg in (self._backend, self._client) if self._takes(leg, now)]
        # Before its Close a peer is waited for only while it makes the other side wait: that one
        # might go on sending without end.
        if any(leg.sending in SEALED or leg.pending is not None for leg in takers):
            self._deadline = now + step + self._limits.close
        if not self.settle(now) and now >= self._deadline and not self._close_late(now):
            self.cut()
        self.wake = min(self._deadline, now + step)

    def cut(self) -> None:
        """Close both connections as they are."""
        self._backend.close()
        self._client.close()

    def _extend(self, now: float) -> None:
        self._deadline = now + self._limits.close
        self.wake = now + self._limits.close / LOOKS

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
        for leg in (self._backend, self._client):
            if leg.sending in SEALED:
                continue
            if leg.sending is Sending.ANSWERS and leg.queued_close is not None:
                self._place_close(leg, leg.queued_close, now)
            elif self._takes(leg, now):
                self._end_bare(leg)
            else:
                continue
            self._extend(now)
            self.settle(now)
            return True
        return False

    def _send_close(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """Send a Close of ours, unless one was sent. One that waits already is the one."""
        if leg.sending not in SEALED:
            self._place_close(leg, leg.queued_close or _close_to(leg, code, reason), now)

    def _place_close(self, leg: Leg, frame: bytes, now: float) -> None:
        """Send it now, or when the frame that is being sent to `leg` is complete."""
        source = leg.other
        if not leg.is_within_frame:
            self._put_close(leg, frame, now)
        elif source.receiving is Receiving.OPEN:
            leg.queue_close(frame)
        else:
            self._end_bare(leg)
            if source.receiving is Receiving.ENDED:
                source.seal()  # whoever left in the middle gets no Close either

    def _put_close(self, leg: Leg, frame: bytes, now: float) -> None:
        if leg.queued_close is not None:
            self._extend(now)  # the peer gets its time to answer, though ours went on waiting
        leg.send_close(frame)

    def _end_bare(self, leg: Leg) -> None:
        """The frame that is being sent will never be complete, so no Close can stand behind it:
        the bare end of the connection has to tell.
        """
        leg.seal()
        leg.discard()


def _close_to(leg: Leg, code: int, reason: str) -> bytes:
    mask = new_mask() if leg.role == "backend" else None  # RFC 6455 §5.3
    return encode_close(code, reason, mask)
