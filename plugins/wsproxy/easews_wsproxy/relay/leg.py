"""One side of a session: a non-blocking connection among the relay's.

What a leg's socket does not take is kept (`pending`, at most one read), and then the other leg
is not read until it is gone: that is the backpressure.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from easews.lowlevel import READ, WRITE, Wire, raw_socket

from .frames import Walker
from .heartbeat import Heartbeat
from .progress import Progress
from .rates import Meter
from .sendqueue import outstanding

if TYPE_CHECKING:
    from .compiled import Loop
    from .session import RelaySession

#: What a leg may read in one turn, so that one session cannot keep the others waiting.
TURN_BYTES = 16 * 1024
#: The same under a flood of tiny frames: 256 of the smallest masked ones.
FLOOD_BYTES = 256 * 6
FLOOD_FRAMES = 256
#: Inside a large frame there is nothing to judge: bigger reads cost less a byte.
LARGE_FRAME = 64 * 1024
BUFFER_BYTES = 256 * 1024
#: What a leg may read while the relay holds more than it should for slow readers.
SCARCE_BYTES = 4 * 1024

#: Seconds; the kernel takes no much longer times.
DAY = 86_400.0


# As far as the system has them.
_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
_PROBE_OPTIONS: list[int] = [
    getattr(socket, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL") if hasattr(socket, name)
]


@dataclass(slots=True)
class HeldBytes:
    """What the whole relay holds for peers that are slow to take it, and how much that may be.

    Beyond `limit` sessions are still relayed, but in small helpings, so that each one that
    stalls adds next to nothing.
    """

    loop: Loop
    limit: int = 64 * 1024 * 1024
    held: int = 0
    scarce: bool = False

    def hold(self, count: int) -> None:
        """So many bytes more are held, or fewer when it is negative."""
        self.held += count
        scarce = self.held > self.limit
        if scarce != self.scarce:
            self.scarce = scarce
            self.loop.set_read_size(SCARCE_BYTES if scarce else TURN_BYTES)


class Leg:
    """`walker` judges what this leg sends us; `wire` is None once it is closed."""

    __slots__ = (
        "_written",
        "close_received",
        "close_sent",
        "due_close",
        "eof",
        "fd",
        "heartbeat",
        "held",
        "held_bytes",
        "loop",
        "meter",
        "mute",
        "other",
        "owed_close",
        "own",
        "pending",
        "progress",
        "raw",
        "read_size",
        "receive",
        "resume_at",
        "role",
        "send",
        "session",
        "shut",
        "walker",
        "wire",
    )

    def __init__(self, role: Literal["client", "backend"], wire: Wire, walker: Walker) -> None:
        self.role = role
        self.wire: Wire | None = wire
        # Only a raw socket is read and written behind its object's back.
        self.raw = raw_socket(wire) is not None
        self.fd = wire.fileno()
        self.receive: Callable[[bytearray | memoryview, int], int] = wire.recv_into
        self.send: Callable[[bytes | bytearray | memoryview], int] = wire.send
        self.walker = walker
        self.session: RelaySession
        self.other: Leg
        self.loop: Loop
        self.held_bytes: HeldBytes
        self.heartbeat = Heartbeat()
        self.meter: Meter | None = None  # counts what this leg sends, where that is limited
        self.resume_at = 0.0  # until when it is not read, because it has sent too much
        self.held = b""  # an incomplete header or control frame, not judged yet
        self.pending: bytearray | None = None  # what the socket did not take
        self.progress = Progress()
        self.own = 0  # bytes of ours that it was sent, less those that we kept from it
        self._written = 0  # what it was sent in all, once nothing may follow
        self.read_size = TURN_BYTES
        self.due_close: bytes | None = None  # our Close, waiting for the end of a frame
        self.owed_close: bytes | None = None  # for what it sent: it gets this one and no other
        self.close_sent = False  # a Close is on its way: nothing may follow it
        self.close_received = False
        self.eof = False
        self.mute = False  # broke the protocol: what still comes is thrown away unread
        self.shut = False

    def find_dead_peer(self, seconds: float, probe: bool) -> None:
        """Have the kernel end the connection when its peer is gone for so long without a FIN:
        when sent bytes go unacknowledged, and with `probe`, when nothing is sent either.
        """
        sock = raw_socket(self.wire) if self.wire is not None else None
        if sock is None:
            return
        if _USER_TIMEOUT is not None:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(min(seconds, DAY) * 1000))
            except OSError:
                return  # no TCP: the other end of a unix socket cannot vanish
        if probe:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option in _PROBE_OPTIONS:
                sock.setsockopt(socket.IPPROTO_TCP, option, max(1, int(min(seconds, DAY) / 6)))

    def join(self) -> None:
        """Become one of the relay's legs, until `close`. The session's other leg exists."""
        self.loop.enter(self.fd, self, self.walker, self.other.fd)

    @property
    def wants_bytes(self) -> bool:
        if self.eof or self.resume_at:
            return False
        return self.other.pending is None or self.is_discarded

    @property
    def is_discarded(self) -> bool:
        """Whether what comes goes nowhere. It is read all the same: a peer that is stuck in
        sending would not see its Close, and bytes that nobody has read make a reset of our end.
        """
        return self.mute or self.close_received or self.other.close_sent

    def update_interest(self) -> None:
        """Wait for what is wanted now: bytes, unless the other side is behind, and room for
        what is pending.
        """
        if self.wire is None:
            return
        reads = READ if self.wants_bytes else 0
        writes = WRITE if self.pending is not None else 0
        self.loop.update_interest(self.fd, reads | writes, self.is_direct)

    @property
    def is_direct(self) -> bool:
        """Whether what comes may go straight on, as far as it is unremarkable."""
        other = self.other
        return (self.raw and other.raw) and not (
            self.close_received
            or other.close_sent
            or self.held
            or self.mute
            or self.meter is not None
            or other.due_close is not None
        )

    @property
    def can_splice(self) -> bool:
        """Whether the inside of a large frame may go on without coming by."""
        large = self.walker.remaining >= LARGE_FRAME
        return large and self.is_direct and not self.held_bytes.scarce

    def size_to_read(self) -> int:
        """How much to read now."""
        remaining = self.walker.remaining
        if self.held_bytes.scarce:
            return min(remaining or SCARCE_BYTES, SCARCE_BYTES)
        if not remaining:
            return self.read_size
        if self.other.due_close is not None:
            return min(remaining, self.read_size)  # stop at the frame's end: a Close goes there
        if remaining >= LARGE_FRAME:
            return min(remaining, BUFFER_BYTES)
        return self.read_size

    def write(self, data: bytes | bytearray | memoryview) -> bool:
        """Send, and keep what does not go. False when the peer has reset the connection."""
        if self.pending is not None:
            self.pending += data
            self.held_bytes.hold(len(data))
            return True
        try:
            sent = self.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent < len(data):
            self.keep(data[sent:])
        return True

    def insert(self, frame: bytes) -> bool:
        """The same for a frame that is not the other side's but ours."""
        self.own += len(frame)
        return self.write(frame)

    def keep(self, data: bytes | bytearray | memoryview) -> None:
        """Have `data` wait until the socket takes more; nothing was waiting before."""
        self.pending = bytearray(data)
        self.held_bytes.hold(len(data))

    def seal(self) -> None:
        """Nothing may follow what was written by now (RFC 6455 §5.5.1)."""
        self._written = self.written
        self.close_sent = True

    @property
    def written(self) -> int:
        """How many bytes were sent to it in all, what is pending among them. It is made of
        numbers that are kept anyhow: nothing is counted for a message.
        """
        if self.close_sent:
            return self._written
        return self.other.walker.bytes - len(self.other.held) + self.own

    def gauge(self, now: float) -> Progress:
        """See what the peer has taken, which costs a call into the kernel."""
        if self.wire is not None:
            sock = raw_socket(self.wire)
            queued = outstanding(sock) if sock is not None else 0
            self.progress.note(self.written, queued + len(self.pending or b""), now)
        return self.progress

    def give_up(self) -> None:
        """Nothing more will be sent; what is pending is dropped."""
        if self.pending is not None:
            self.held_bytes.hold(-len(self.pending))
        self.pending = self.due_close = None

    def flush(self) -> bool:
        """Send more of what is pending. False when the peer has reset the connection."""
        if self.pending is None:
            return True
        try:
            sent = self.send(self.pending)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.held_bytes.hold(-sent)
        if sent == len(self.pending):
            self.pending = None
        else:
            del self.pending[:sent]
        return True

    def shutdown(self) -> None:
        """Tell the peer that nothing more will come; it may still send."""
        if self.wire is not None and not self.shut:
            self.shut = True
            try:
                self.wire.shutdown(socket.SHUT_WR)
            except OSError as error:
                if error.errno != errno.ENOTCONN:  # the peer was faster
                    raise

    def close(self) -> None:
        """Leave the relay, then close: a closed descriptor can no longer be unregistered."""
        wire, self.wire = self.wire, None
        if wire is not None:
            with suppress(KeyError):  # it could not join
                self.loop.leave(self.fd)
            self.give_up()
            self.held = b""
            self.eof = True
            wire.close()

    def part(self) -> None:
        """Let go of the session and its other leg, which refer to this one: else what is left of
        thousands that ended together waits for the garbage collector, and then all wait for it.
        """
        del self.session, self.other
