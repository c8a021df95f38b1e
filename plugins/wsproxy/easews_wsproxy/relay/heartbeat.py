"""Whether a peer is still there: when it was last heard, and the pings that ask (RFC 6455 §5.5.2).

A peer may answer only the latest of several pings. So ours wait while a ping from the other
side is unanswered, any pong answers every ping before it, and any byte is a sign of life.
The time for an answer begins when the peer has taken what was sent before the ping.
Rules and state only: `session` sends what `look` asks for.
"""

from __future__ import annotations

import os
from math import inf

from .frames import Walker

_SECRET_BYTES = 6


class Heartbeat:
    """What is known of one peer. Times are readings of one monotonic clock, in seconds."""

    __slots__ = (
        "_asked",
        "_bytes",
        "_heard",
        "_number",
        "_pings",
        "_place",
        "_pongs",
        "_queued",
        "_secret",
        "_sent",
        "rtt",
        "wanted",
    )

    def __init__(self) -> None:
        self._heard = 0.0  # when bytes were last known to have come
        self._bytes = -1  # how many they were by then
        self._asked = inf  # since when a sign of life is waited for
        self._place = 0  # how many bytes were sent in front of the ping that asks
        self._queued = False  # it was seen waiting behind them
        self._pings = 0  # what the other side had sent when this peer's last pong came
        self._pongs = 0  # what this peer had sent when last looked at
        self._secret = b""  # with which our pings begin, so that we know their pongs
        self._number = 0
        self._sent = 0.0  # when the last of them was sent
        self.rtt: float | None = None  # seconds that it took until its pong
        self.wanted = False  # somebody has asked for a ping

    def hear(self, theirs: Walker, others: Walker, reading: bool, now: float) -> None:
        """Note what has come: `theirs` walks what this peer sends, `others` what the other side
        sends it. While we are not `reading` from it, its silence means nothing.
        """
        if theirs.bytes != self._bytes or not reading:
            self._bytes, self._heard, self._asked = theirs.bytes, now, inf
        if theirs.pongs != self._pongs:
            self._pongs, self._pings = theirs.pongs, others.pings

    def look(self, others: Walker, sent: int, interval: float, timeout: float, now: float) -> float:
        """When to look again; 0 when a ping is to be sent now, -1 when the peer is gone. `sent`:
        how many bytes the peer was sent in all.
        """
        if self._asked != inf:
            return self._asked + timeout if now < self._asked + timeout else -1
        if now < self._heard + interval:
            return self._heard + interval
        if others.pings == self._pings:
            return 0
        self._begin(sent, now)  # the other side's own ping asks: it is on its way
        return now + timeout

    def ask(self, now: float, sent: int = 0) -> bytes:
        """The payload of the ping that is now sent, behind so many bytes."""
        self._begin(sent, now)
        return self.measure(now)

    def may_measure(self, others: Walker) -> bool:
        """Whether a ping that is sent now would take no other one's answer: a peer may answer
        only the latest (RFC 6455 §5.5.3).
        """
        return not self.is_asked and others.pings == self._pings

    def measure(self, now: float) -> bytes:
        """The payload of a ping that is now sent for its round trip only: nobody has to answer."""
        self._secret = self._secret or os.urandom(_SECRET_BYTES)
        self._number = (self._number + 1) % 0x10000
        self._sent = now
        self.wanted = False
        return self.latest

    def _begin(self, sent: int, now: float) -> None:
        self._asked, self._place, self._queued = now, sent, False

    @property
    def is_asked(self) -> bool:
        """Whether a sign of life is waited for."""
        return self._asked != inf

    def note_taken(self, taken: int, now: float) -> bool:
        """Note how many bytes the peer has taken. Whether the ping has reached it: its time to
        answer begins when that is first seen.
        """
        reached = taken >= self._place
        if self._queued or not reached:
            self._asked = now
        self._queued = not reached
        return reached

    @property
    def latest(self) -> bytes:
        """The payload of the last of our pings."""
        return self._secret + self._number.to_bytes(2)

    def is_ours(self, payload: bytes) -> bool:
        """Whether a ping or pong with this payload is of our asking, and for nobody else."""
        return bool(self._secret) and payload[:_SECRET_BYTES] == self._secret

    def answered(self, pong: bytes, bytes_so_far: int, now: float) -> None:
        """A pong that is ours has come. `bytes_so_far` is what its sender has sent by now."""
        self._bytes, self._heard, self._asked = bytes_so_far, now, inf
        if pong == self.latest:
            self.rtt = now - self._sent
