"""One relayed session: two legs, and what happens to the bytes that they send.

`receive` judges and passes on; how the session ends is in `closing`, what may end it besides
its peers in `guard`. The relay calls, and calls `watch` after whatever may have changed what
the legs are waiting for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from easews import Connection, Ending, Opening

from .closing import Closing
from .frames import PING, PONG, Control, encode_control, new_mask
from .leg import FLOOD_BYTES, FLOOD_FRAMES, TURN_BYTES, Leg
from .rates import Meter
from .watchdog import LOOKS, POLICY_VIOLATION, Guard, Limits

INTERNAL_ERROR = 1011

#: Seconds by which the kernel gives up on a peer later than we do: ours has a reason to tell.
KERNEL_GRACE = 30.0


class RelaySession(Closing):
    """See `easews.Session`. Made by the filter, run by the relay."""

    __slots__ = ("_checked", "_connection", "_guard", "forget", "schedule", "slot", "wake")

    def __init__(self, connection: Connection, client: Leg, backend: Leg, limits: Limits) -> None:
        super().__init__(client, backend, limits)
        self._connection = connection
        client.session = backend.session = self
        client.other, backend.other = backend, client
        self.wake = inf  # the wheel's, as is its slot
        self.slot = 0
        self.schedule: Callable[[RelaySession, float], None]  # the relay's
        self.forget: Callable[[RelaySession], None]  # the relay's
        self._checked = False
        self._guard = Guard(limits, self._opened)
        if limits.client_rate is not None:
            client.meter = Meter(limits.client_rate, self._opened)
            client.take = FLOOD_BYTES  # until its messages turn out to be large

    @property
    def opening(self) -> Opening:
        return self._connection.opening

    @property
    def held(self) -> int:
        legs = (self.client, self.backend)
        return sum(len(leg.pending) for leg in legs if leg.pending is not None)

    def due(self, when: float) -> None:
        self.schedule(self, when)

    def over(self, ending: Ending) -> None:
        self.forget(self)
        self._connection.over(ending)

    def close(self, code: int, reason: str) -> None:
        """The engine's call: send Close to both sides, each in between two frames, and end."""
        self.close_both(code, reason, time.monotonic())
        self.watch()

    def expire(self, at: float, code: int, reason: str) -> None:
        """The engine's call: close both sides at `at`, a reading of `time.time`."""
        when = time.monotonic() + at - time.time()
        self._guard.expire(when, code, reason)
        self.due(when)

    def ping(self) -> None:
        """The engine's call: ping both sides as soon as a frame boundary allows it."""
        self.client.life.wanted = self.backend.life.wanted = True
        self.due(time.monotonic())

    # What the relay reports

    def receive(
        self, leg: Leg, buffer: bytearray, start: int, end: int, sent: int, now: float
    ) -> None:
        """Judge and pass on what `leg` has sent: ``buffer[:end]``.

        Of that ``buffer[:start]`` has been judged already, and ``buffer[:sent]`` sent.
        """
        if leg.mute or leg.close_received:
            return  # RFC 6455 §5.5.1: data behind a Close does not count
        walker = leg.walker
        frames = walker.frames
        while True:
            upto = walker.walk(buffer, start, end) if start < end else end
            pong = walker.control
            if upto == end or pong is None or pong.opcode != PONG:
                break
            start = upto + pong.size
            if self._swallows(leg, pong, now):
                self._forward(leg, buffer, sent, upto, now)
                leg.other.own -= pong.size
                sent = start
        self._forward(leg, buffer, sent, upto, now)
        if upto != end:
            self._stopped(leg, buffer, upto, end, now)
        elif not walker.remaining:
            self._at_boundary(leg, now)
        if leg.meter is not None:
            self._measure(leg, leg.meter.take(walker.messages, walker.bytes, now), now)
        frames = walker.frames - frames
        if frames > FLOOD_FRAMES:
            leg.take = FLOOD_BYTES
        elif leg.take != TURN_BYTES and frames * 64 < end:
            leg.take = TURN_BYTES

    def passed(self, leg: Leg, count: int, rest: bytes, now: float) -> None:
        """`count` bytes of the frame that `leg` is at went on, but for the `rest` of them."""
        leg.walker.remaining -= count
        if rest and not leg.other.close_sent:
            leg.other.keep(rest)
            self._blocked(now)
        if not leg.walker.remaining:
            self._at_boundary(leg, now)

    def writable(self, leg: Leg, now: float) -> None:
        """The socket of `leg` takes bytes again."""
        if not leg.flush():
            self.unwritable(leg)
        if leg.pending is None:
            self._settle(now)

    def ended(self, leg: Leg, now: float) -> None:
        """`leg` will send nothing more: the end of its stream, or a reset."""
        leg.eof = True
        leg.held = b""
        if not leg.close_received and not leg.mute:
            self._lose(leg, now)
        self._settle(now)

    def failed(self, now: float) -> None:
        """A fault of ours in this session: end it, and only it; at the second one, at once."""
        if self.client.mute and self.backend.mute:
            self.cut()
            return
        self.client.mute = self.backend.mute = True
        self.close_both(INTERNAL_ERROR, "internal error", now)

    def check(self, now: float) -> float:
        """Act on what is due; return when to look again."""
        if not self._checked:
            self._checked = True
            self._find_dead_peers()
        wake = inf if self.closing else self._guard.look(self, now)
        return self._pursue(now) if self.closing else wake  # what was due may have begun the end

    def watch(self) -> None:
        """Wait for what both legs want now: to be called after whatever may have changed it."""
        self.client.watch()
        self.backend.watch()

    # What `receive`, `check` and the guard need

    def _find_dead_peers(self) -> None:
        """Only once the clock has struck: many sessions do not live so long."""
        limits = self._limits
        for leg in (self.client, self.backend):
            # Our own pings make probes of the kernel's unnecessary.
            leg.find_dead_peer(limits.slow_reader + KERNEL_GRACE, limits.ping_interval == inf)

    def send_ping(self, leg: Leg, payload: bytes, now: float) -> None:
        """Send `leg` a ping of ours; we are in between two frames that go to it."""
        mask = new_mask() if leg.role == "backend" else None  # RFC 6455 §5.3
        leg.walker.watch_pongs = True
        if not leg.insert(encode_control(PING, payload, mask)):
            self.unwritable(leg)

    def _forward(self, leg: Leg, buffer: bytearray, start: int, end: int, now: float) -> None:
        other = leg.other
        if start == end or other.close_sent:
            return  # RFC 6455 §5.5.1: nothing may follow a Close
        if not other.write(memoryview(buffer)[start:end]):
            self.unwritable(other)
        elif other.pending is not None:
            self._blocked(now)

    def _blocked(self, now: float) -> None:
        """A peer may have stopped reading: the guard has to watch what it takes."""
        self.due(now + self._limits.slow_reader / LOOKS)

    def _stopped(self, leg: Leg, buffer: bytearray, pos: int, end: int, now: float) -> None:
        """The walker stopped at `pos`: at a control frame, at a fault, or for want of bytes."""
        walker = leg.walker
        if walker.fault is not None:
            leg.mute = True
            self.blame_sender(leg, walker.fault.code, walker.fault.reason, now)
        elif walker.control is not None:
            frame = bytes(buffer[pos : pos + walker.control.size])
            self._on_close(leg, walker.control, frame, now)
        else:
            leg.held = bytes(buffer[pos:end])
            self._at_boundary(leg, now)

    def _measure(self, leg: Leg, wait: float, now: float) -> None:
        """`leg` may send nothing for `wait` seconds: let it wait, or end the session."""
        if not wait or self.closing:
            return
        rate = self._limits.client_rate
        if rate is not None and rate.close:
            self.blame_sender(leg, POLICY_VIOLATION, "sends more than it may", now)
        else:
            leg.resume_at = now + wait
            self.due(leg.resume_at)

    def _swallows(self, leg: Leg, pong: Control, now: float) -> bool:
        """Whether this is the pong to a ping of ours, which the other side never saw."""
        if not leg.life.is_ours(pong.payload):
            return False
        leg.life.answered(pong.payload, leg.walker.bytes, now)
        leg.walker.watch_pongs = pong.payload != leg.life.latest  # which is still to come
        return True
