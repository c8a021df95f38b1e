"""What happens to the bytes that a leg sends: they are judged and passed on to the other leg.

Pings of ours come in between, and their pongs go no further. Where the walker stops, the session
has to act.
"""

from __future__ import annotations

from .endstates import SEALED
from .frames import PING, PONG, Control, encode_control, new_mask
from .insertion import message_ended
from .leg import Leg
from .sizes import FLOOD_BYTES, FLOOD_FRAMES, TURN_BYTES


def send_ping(leg: Leg, payload: bytes) -> None:
    """Send `leg` a ping of ours. We are in between two frames that go to it."""
    if leg.sending not in SEALED:
        mask = new_mask() if leg.role == "backend" else None  # RFC 6455 §5.3
        leg.walker.watch_pongs = True
        leg.insert(encode_control(PING, payload, mask))


def pass_on(leg: Leg, buffer: bytearray, start: int, end: int, sent: int, now: float) -> int:
    """Judge and forward what `leg` has sent: ``buffer[:end]``. Returns up to where that went.

    Of that ``buffer[:start]`` has been judged already, and ``buffer[:sent]`` sent.
    """
    walker = leg.walker
    while True:
        upto = walker.walk(buffer, start, end) if start < end else end
        pong = walker.control
        if upto == end or pong is None or pong.opcode != PONG:
            break
        start = upto + pong.size
        if swallows(leg, pong, now):
            _forward(leg, buffer, sent, upto)
            leg.other.own -= pong.size
            sent = start
    _forward(leg, buffer, sent, upto)
    if leg.other.inserts is not None:
        message_ended(leg.other)
    return upto


def _forward(leg: Leg, buffer: bytearray, start: int, end: int) -> None:
    if start != end and leg.other.sending not in SEALED:
        leg.other.write(memoryview(buffer)[start:end])


def swallows(leg: Leg, pong: Control, now: float) -> bool:
    """Whether this is the pong to a ping of ours, which the other side never saw."""
    heartbeat = leg.heartbeat
    if not heartbeat.is_ours(pong.payload):
        return False
    heartbeat.answered(pong.payload, leg.walker.bytes, now)
    leg.walker.watch_pongs = pong.payload != heartbeat.latest  # which is still to come
    return True


def adapt_read_size(leg: Leg, frames: int, size: int) -> None:
    """Read less at once in a flood of tiny frames: each of them costs time in Python."""
    if frames > FLOOD_FRAMES:
        leg.read_size = FLOOD_BYTES
    elif leg.read_size != TURN_BYTES and frames * 64 < size:
        leg.read_size = TURN_BYTES
