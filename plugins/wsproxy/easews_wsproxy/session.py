"""One relayed session: two legs, and how they come to an end (RFC 6455 §7).

`receive` is what happens to bytes that a leg has read; everything else here is about closing:
a Close that is passed on, a Close of ours in between two frames, a side that is lost, a side
that breaks the protocol, and the TCP connections after the Closes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from easews import Birth, Ending, Side, Traffic

from .frames import PING, PONG, Control, encode_close, encode_control, new_mask
from .guard import GOING_AWAY, POLICY_VIOLATION, Guard, Limits
from .leg import FLOOD_BYTES, FLOOD_FRAMES, TURN_BYTES, Leg
from .rates import Meter

INTERNAL_ERROR = 1011
NO_CODE = 1005
LOST = 1006

#: Seconds by which the kernel gives up on a peer later than we do: ours has a reason to tell.
KERNEL_GRACE = 30.0


class RelaySession:
    """See `easews.Session`. Made by the filter, run by the relay."""

    __slots__ = (
        "_deadline",
        "_first",
        "_guard",
        "_limits",
        "_on_end",
        "_opened",
        "_over",
        "backend",
        "birth",
        "client",
        "forget",
        "schedule",
        "wake",
    )

    def __init__(
        self,
        birth: Birth,
        client: Leg,
        backend: Leg,
        limits: Limits,
        on_end: Callable[[RelaySession, Ending], None],
    ) -> None:
        self.birth = birth
        self.client = client
        self.backend = backend
        client.session = backend.session = self
        client.other, backend.other = backend, client
        for leg in (client, backend):
            # Our own pings make probes of the kernel's unnecessary.
            leg.find_dead_peer(limits.slow_reader + KERNEL_GRACE, limits.ping_interval == inf)
        self.wake = inf  # the wheel's
        self.schedule: Callable[[RelaySession, float], None]  # the relay's
        self.forget: Callable[[RelaySession], None]  # the relay's
        self._limits = limits
        self._on_end = on_end
        self._opened = time.monotonic()
        self._guard = Guard(limits, self._opened)
        if limits.client_rate is not None:
            client.meter = Meter(limits.client_rate, self._opened)
            client.take = FLOOD_BYTES  # until its messages turn out to be large
        self._deadline = inf
        self._over = False
        self._first: tuple[Side, int, str] | None = None

    @property
    def closing(self) -> bool:
        """Whether the session has begun to end."""
        return self._first is not None

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
        frames, messages = walker.frames, walker.messages
        while True:
            upto = walker.walk(buffer, start, end) if start < end else end
            if sent < upto:
                self._forward(leg, memoryview(buffer)[sent:upto], now)
            pong = walker.control
            if upto == end or pong is None or pong.opcode != PONG:
                break
            start = sent = upto + pong.size
            if not self._swallows(leg, pong, now):
                sent = upto
        if upto != end:
            self._stopped(leg, buffer, upto, end, now)
        elif not walker.remaining:
            self._at_boundary(leg, now)
        if leg.meter is not None:
            self._measure(leg, leg.meter.take(walker.messages - messages, end, now), now)
        frames = walker.frames - frames
        if frames > FLOOD_FRAMES:
            leg.take = FLOOD_BYTES
        elif leg.take != TURN_BYTES and frames * 64 < end:
            leg.take = TURN_BYTES

    def passed(self, leg: Leg, count: int, rest: bytes, now: float) -> None:
        """`count` bytes of the frame that `leg` is at went on, but for the `rest` of them."""
        leg.walker.remaining -= count
        if rest and not leg.other.close_sent:
            leg.other.keep(rest, now)
            self.schedule(self, now + self._limits.slow_reader)
        if not leg.walker.remaining:
            self._at_boundary(leg, now)

    def unwritable(self, leg: Leg) -> None:
        """The peer takes nothing more. What it has sent before may still wait to be read, and
        the end of that will tell; so only the way out is given up here.
        """
        leg.give_up()
        leg.close_sent = leg.shut = True

    def writable(self, leg: Leg, now: float) -> None:
        """The socket of `leg` takes bytes again."""
        if not leg.flush(now):
            self.unwritable(leg)
        if leg.pending is None:
            self._settle(now)

    def ended(self, leg: Leg, now: float) -> None:
        """`leg` will send nothing more: the end of its stream, or a reset."""
        leg.eof = True
        leg.held = b""
        if not leg.close_received and not leg.mute:
            self._begin_to_close(leg.role, LOST, "lost", now)
            code = self._limits.backend_lost_code if leg.role == "backend" else GOING_AWAY
            self._send_close(leg.other, code, f"the {leg.role} was lost", now)
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
        if now >= self._deadline:
            self.cut()
            return inf
        wake = self._deadline if self.closing else self._guard.look(self, now)
        return self._deadline if self.closing else wake  # what was due may have begun the end

    def ping(self, leg: Leg, payload: bytes, now: float) -> None:
        """Send `leg` a ping of ours; we are in between two frames that go to it."""
        mask = new_mask() if leg.role == "backend" else None  # RFC 6455 §5.3
        leg.walker.watch_pongs = True
        if not leg.write(encode_control(PING, payload, mask), now):
            self.unwritable(leg)

    def _measure(self, leg: Leg, wait: float, now: float) -> None:
        """`leg` may send nothing for `wait` seconds: let it wait, or end the session."""
        if not wait or self.closing:
            return
        rate = self._limits.client_rate
        if rate is not None and rate.close:
            self.blame(leg, POLICY_VIOLATION, "sends more than it may", now)
        else:
            leg.resume_at = now + wait
            self.schedule(self, leg.resume_at)

    def _swallows(self, leg: Leg, pong: Control, now: float) -> bool:
        """Whether this is the pong to a ping of ours, which the other side never saw."""
        if not leg.life.is_ours(pong.payload, now):
            return False
        leg.walker.watch_pongs = False
        return True

    def watch(self) -> None:
        """Wait for what both legs want now: to be called after whatever may have changed it."""
        self.client.watch()
        self.backend.watch()

    # What the engine asks for

    def traffic(self) -> tuple[Traffic, Traffic]:
        """What client and backend have sent so far."""
        client, backend = self.client, self.backend
        return (
            Traffic(client.walker.messages, client.walker.bytes, client.life.rtt),
            Traffic(backend.walker.messages, backend.walker.bytes, backend.life.rtt),
        )

    def close(self, code: int, reason: str) -> None:
        """Send Close to both sides, each in between two frames, and end."""
        self.close_both(code, reason, time.monotonic())
        self.watch()

    def cut(self) -> None:
        """Close both connections as they are."""
        self._first = self._first or ("proxy", LOST, "cut")
        self.backend.close()
        self.client.close()
        self._finish()

    # How a session closes

    def _forward(self, leg: Leg, data: memoryview, now: float) -> None:
        other = leg.other
        if other.close_sent:
            return  # RFC 6455 §5.5.1: nothing may follow a Close
        if not other.write(data, now):
            self.unwritable(other)
        elif other.pending is not None:
            self.schedule(self, now + self._limits.slow_reader)

    def _stopped(self, leg: Leg, buffer: bytearray, pos: int, end: int, now: float) -> None:
        """The walker stopped at `pos`: at a control frame, at a fault, or for want of bytes."""
        walker = leg.walker
        if walker.fault is not None:
            leg.mute = True
            self.blame(leg, walker.fault.code, walker.fault.reason, now)
        elif walker.control is not None:
            frame = bytes(buffer[pos : pos + walker.control.size])
            self._on_close(leg, walker.control, frame, now)
        else:
            leg.held = bytes(buffer[pos:end])
            self._at_boundary(leg, now)

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

    def blame(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """End the session for what `leg` did: it is told so, the other side is told less."""
        self._begin_to_close("proxy", code, f"{leg.role}: {reason}", now)
        self._send_close(leg, code, reason, now)
        self._send_close(leg.other, GOING_AWAY, f"the {leg.role} was at fault", now)
        self._settle(now)

    def close_both(self, code: int, reason: str, now: float) -> None:
        self._begin_to_close("proxy", code, reason, now)
        self._send_close(self.client, code, reason, now)
        self._send_close(self.backend, code, reason, now)
        self._settle(now)

    def _begin_to_close(self, by: Side, code: int, cause: str, now: float) -> None:
        if not self.closing:
            self._first = (by, code, cause)
            self.client.resume_at = 0.0  # its Close is waited for, whatever it has sent before
            self._extend(now)

    def _extend(self, now: float) -> None:
        self._deadline = now + self._limits.close
        self.schedule(self, self._deadline)

    def _send_close(self, leg: Leg, code: int, reason: str, now: float) -> None:
        """A Close of ours, now or when the frame that is on its way to `leg` is whole."""
        if leg.close_sent:
            return
        source = leg.other
        mask = new_mask() if leg.role == "backend" else None  # RFC 6455 §5.3
        frame = encode_close(code, reason, mask)
        if not source.walker.remaining:
            self._put_close(leg, frame, now)
        elif source.eof or source.mute:
            # The frame will never be whole, so no Close can stand behind it: the bare end of
            # the connection has to tell.
            leg.close_sent = leg.mute = True
            source.close_sent |= source.eof  # and whoever left in the middle gets none either
        else:
            leg.due_close = frame

    def _put_close(self, leg: Leg, frame: bytes, now: float) -> None:
        if leg.due_close is not None:
            leg.due_close = None
            self._extend(now)  # the peer gets its time to answer, though ours went on waiting
        leg.close_sent = True
        if not leg.write(frame, now):
            self.unwritable(leg)

    def _settle(self, now: float) -> None:
        """Take each connection as far as it can go by now, and see whether all is over."""
        for leg in (self.backend, self.client):
            if leg.sock is not None and leg.close_sent and leg.pending is None:
                if leg.eof:
                    leg.close()
                elif leg.mute or (leg.close_received and leg.role == "client"):
                    leg.shutdown()  # RFC 6455 §7.1.1: then read until the peer ends it, too
        self._finish()

    def _finish(self) -> None:
        if self._over or self.client.sock is not None or self.backend.sock is not None:
            return
        self._over = True
        self._deadline = inf
        self.forget(self)
        by, code, cause = self._first or ("proxy", LOST, "cut")
        duration = time.monotonic() - self._opened
        self._on_end(self, Ending(by, code, cause, duration, *self.traffic()))
