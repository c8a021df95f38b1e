"""Receiving what a leg has sent, when the loop has reported that there is something."""

from __future__ import annotations

from . import splice
from .endstates import Receiving
from .heldbytes import HeldBytes
from .incoming import on_bytes, on_filled, on_spliced
from .interest import can_fill, can_splice, next_read_size
from .leg import Leg
from .session import RelaySession
from .sizes import BUFFER_BYTES, SCARCE_BYTES
from .splice import Pipe


class Receiver:
    """Receives into one `buffer` for all sessions, unless the bytes can bypass it."""

    def __init__(self, buffer: bytearray, held_bytes: HeldBytes) -> None:
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._held_bytes = held_bytes
        self.pipe = Pipe(BUFFER_BYTES) if splice.AVAILABLE else None

    def close(self) -> None:
        if self.pipe is not None:
            self.pipe.close()

    def take(self, session: RelaySession, leg: Leg, received: bytes, now: float) -> None:
        """Pass on what somebody else has received."""
        self._buffer[: len(received)] = received
        if leg.taps:
            _show(leg, self._view[: len(received)])
        leg.walker.bytes += len(received)
        on_bytes(session, leg, self._buffer, 0, len(received), 0, now)

    def read(self, session: RelaySession, leg: Leg, now: float) -> None:
        """Receive what there is, up to what `leg` may send in its turn, and pass it on."""
        if leg.wire is None:
            return
        start = len(leg.held)
        try:
            if self.pipe is not None and can_splice(leg):
                count = self._splice(self.pipe, session, leg, now)
            elif can_fill(leg):
                count = self._fill(session, leg, now)
            elif start:
                self._buffer[:start] = leg.held
                count = leg.wire.recv_into(self._view[start:], next_read_size(leg))
            else:
                count = leg.wire.recv_into(self._buffer, next_read_size(leg))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0  # a reset ends the stream as an EOF does
        if not count:
            session.on_end(leg, now)
        elif count > 0:
            if leg.taps:
                _show(leg, self._view[start : start + count])
            leg.held = b""
            leg.walker.bytes += count
            on_bytes(session, leg, self._buffer, 0, start + count, 0, now)

    def _splice(self, pipe: Pipe, session: RelaySession, leg: Leg, now: float) -> int:
        """-1 when what came is already on its way, 0 at the end of the stream, else how much came
        into the buffer: only a read passes TCP urgent data, in front of which nothing is spliced.
        """
        try:
            came, rest, alive = pipe.move(leg.fd, leg.other.fd, leg.walker.remaining)
        except BlockingIOError:
            if leg.wire is None:
                return -1
            return leg.wire.recv_into(self._buffer, next_read_size(leg))
        if not alive:
            leg.other.give_up()
        if came:
            leg.walker.bytes += came
            on_spliced(session, leg, came, rest, now)
        return -1 if came else 0

    def _fill(self, session: RelaySession, leg: Leg, now: float) -> int:
        """The same for a large message, which is received where its lane wants it."""
        assert leg.lane is not None
        assert leg.wire is not None
        most = SCARCE_BYTES if self._held_bytes.scarce else BUFFER_BYTES
        with leg.lane.room() as room:
            count = leg.wire.recv_into(room, min(len(room), most))
            if leg.taps:
                _show(leg, room[:count])
        if count:
            leg.walker.bytes += count
            on_filled(session, leg, count, now)
        return -1 if count else 0


def _show(leg: Leg, data: memoryview) -> None:
    """Show the taps what the leg has sent, before anything else is done with that."""
    if leg.receiving is Receiving.OPEN:
        for tap in leg.taps:
            tap.look(data, leg.held, leg.walker.remaining)
