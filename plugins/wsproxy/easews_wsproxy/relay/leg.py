"""One side of a session: a non-blocking connection among the relay's.

What a leg's socket does not take is kept (`pending`, at most one read), and then the other leg
is not read until it is sent: that is the backpressure.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Literal

from easews.lowlevel import TlsWire, Wire, raw_socket, socket_of

from .endstates import RECEIVING, SEALED, SENDING, Event, Receiving, Sending
from .frames import Walker
from .heartbeat import Heartbeat
from .heldbytes import HeldBytes
from .lane import Lane
from .progress import Progress
from .rates import Meter
from .sendqueue import outstanding
from .sizes import TURN_BYTES
from .tap import FrameTap

if TYPE_CHECKING:
    from .compiled import Loop


class Leg:
    """`walker` judges what this leg sends us; `wire` is None once it is closed."""

    __slots__ = (
        "_written",
        "fd",
        "heartbeat",
        "held",
        "held_bytes",
        "injected",
        "inserts",
        "is_plain",
        "lane",
        "loop",
        "meter",
        "other",
        "own",
        "pending",
        "progress",
        "queued_close",
        "read_size",
        "receiving",
        "resume_at",
        "role",
        "sending",
        "shutdown_waits",
        "sock",
        "taps",
        "tls",
        "walker",
        "wire",
    )

    def __init__(self, role: Literal["client", "backend"], wire: Wire, walker: Walker) -> None:
        self.role = role
        self.wire: Wire | None = wire
        self.sock = socket_of(wire)  # for its options, and to ask what it has still to send
        self.is_plain = raw_socket(wire) is not None  # bytes may bypass the wire
        self.tls = wire if isinstance(wire, TlsWire) else None
        self.fd = wire.fileno()
        self.walker = walker
        self.taps: tuple[FrameTap, ...] = ()  # which are shown what this leg sends
        self.lane: Lane | None = None  # where filters read the messages of this leg
        self.other: Leg
        self.loop: Loop[Any, Any] | None = None  # the one that it has entered
        self.held_bytes: HeldBytes
        self.sending = Sending.OPEN
        self.receiving = Receiving.OPEN
        self.queued_close: bytes | None = None  # our Close, while it waits
        self.shutdown_waits = False  # there was no room for TLS's end of our side
        self.heartbeat = Heartbeat()
        self.meter: Meter | None = None  # counts what this leg sends, where that is limited
        self.resume_at = 0.0  # until when it is not read, because it has sent too much
        self.held = b""  # an incomplete header or control frame, not judged yet
        self.pending: bytearray | None = None  # what the socket did not take
        self.inserts: bytearray | None = None  # messages of ours that wait for a message's end
        self.injected = 0  # bytes of messages of ours that wait among what is pending
        self.progress = Progress()
        self.own = 0  # bytes of ours that it was sent, less those that we kept from it
        self._written = 0  # what it was sent in all, once nothing may follow
        self.read_size = TURN_BYTES

    # What it sends

    def get_close(self) -> None:
        """Its Close has come; what follows does not count (RFC 6455 §5.5.1)."""
        self.receiving = RECEIVING[self.receiving][Event.GET_CLOSE]

    def discard(self) -> None:
        """Ignore what it still sends."""
        self.receiving = RECEIVING[self.receiving][Event.DISCARD]

    def end(self) -> None:
        """It sends nothing more: the end of its stream, or a reset."""
        self.receiving = RECEIVING[self.receiving][Event.END]
        self.held = b""

    # What it is sent

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, and keep what the socket does not take."""
        if self.pending is not None:
            self.pending += data
            self.held_bytes.add(len(data))
            return
        sent = self._send(data)
        if sent < len(data):
            self.keep(memoryview(data)[sent:])

    def insert(self, frame: bytes | bytearray | memoryview) -> None:
        """The same for bytes that are not the other side's but ours."""
        self.own += len(frame)
        self.write(frame)

    def hand_over(self, frames: bytearray) -> None:
        """The same for bytes that nobody else needs any more: they are kept without a copy."""
        self.own += len(frames)
        if self.pending is not None:
            self.write(frames)
            return
        del frames[: self._send(frames)]
        if frames:
            self.pending = frames
            self.held_bytes.add(len(frames))

    def drop_inserts(self) -> None:
        """Forget the messages of ours that wait."""
        if self.inserts is not None:
            self.held_bytes.add(-len(self.inserts))
            self.inserts = None

    @property
    def is_within_frame(self) -> bool:
        """Whether only a part of a frame was sent to it: nothing of ours may stand there. Of a
        leg whose messages are read only whole ones go on.
        """
        return self.other.walker.remaining > 0 and self.other.lane is None

    @property
    def is_within_message(self) -> bool:
        """The same for a message, between whose frames only control frames may stand."""
        walker = self.other.walker
        return (walker.remaining > 0 or walker.continued) and self.other.lane is None

    def keep(self, data: bytes | bytearray | memoryview) -> None:
        """Have `data` wait until the socket takes more; nothing was waiting before."""
        self.pending = bytearray(data)
        self.held_bytes.add(len(data))

    def flush(self) -> None:
        """Send more of what is pending."""
        if self.pending is None:
            return
        sent = self._send(self.pending)
        if self.pending is None:  # the connection has failed
            return
        self.held_bytes.add(-sent)
        if sent == len(self.pending):
            self.pending = None
            self.injected = 0
        else:
            del self.pending[:sent]

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        """How many bytes the socket took. All when the connection has failed: they are lost."""
        if self.wire is None:
            return len(data)
        try:
            return self.wire.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.give_up()
            return len(data)

    def queue_close(self, frame: bytes, event: Event = Event.QUEUE_CLOSE) -> None:
        """Have a Close of ours wait: for the end of a frame, or with `DEFER_CLOSE` for answers."""
        self.sending = SENDING[self.sending][event]
        self.queued_close = frame

    def send_close(self, frame: bytes) -> None:
        """Send a Close. Nothing may follow it."""
        self.own += len(frame)
        self._seal(Event.SEND_CLOSE)
        self.write(frame)

    def seal(self) -> None:
        """Send nothing more, not even a Close."""
        self._seal(Event.SEAL)

    def give_up(self) -> None:
        """Send nothing more and drop what is pending: the peer takes nothing. What it has sent
        may still wait to be read.
        """
        if self.pending is not None:
            self.held_bytes.add(-len(self.pending))
            self.pending = None
        self._seal(Event.GIVE_UP)
        self.shutdown_waits = False

    def _seal(self, event: Event) -> None:
        self._written = self.written
        self.sending = SENDING[self.sending][event]
        self.queued_close = None
        self.drop_inserts()

    @property
    def written(self) -> int:
        """How many bytes were sent to it in all, what is pending among them. It is made of
        numbers that are kept anyhow: nothing is counted for a message.
        """
        if self.sending in SEALED:
            return self._written
        return self.other.walker.bytes - len(self.other.held) + self.own

    def gauge(self, now: float) -> Progress:
        """See what the peer has taken, which costs a call into the kernel."""
        if self.wire is not None:
            waiting = outstanding(self.sock) if self.sock is not None else 0
            waiting += len(self.pending or b"")
            if self.tls is not None:
                # It is pending, too, as long as its piece has not all gone.
                waiting -= self.tls.sent_ahead
            self.progress.note(self.written, waiting, now)
        return self.progress

    # The connection

    def shutdown(self) -> None:
        """Tell the peer that nothing more will come; it may still send. To be called again while
        `shutdown_waits`.
        """
        if self.wire is None:
            return
        try:
            self.wire.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self.shutdown_waits = True
            return
        except OSError:
            pass  # the connection is lost, as by a reset or a timeout of the kernel's
        self.shutdown_waits = False
        self.sending = SENDING[self.sending][Event.SHUT_DOWN]

    def close(self) -> None:
        """Leave the loop, then close: a closed descriptor can no longer be unregistered."""
        wire = self.wire
        if wire is None:
            return
        if self.sending is not Sending.SHUT:
            self.give_up()
        if self.receiving is not Receiving.ENDED:
            self.end()
        self.wire = self.sock = self.tls = None
        if self.loop is not None:
            self.loop.leave(self.fd)
            self.loop = None
        wire.close()

    def part(self) -> None:
        """Let go of the other leg, which refers to this one: else what is left of thousands that
        ended together waits for the garbage collector, and then all wait for it.
        """
        del self.other
