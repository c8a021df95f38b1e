"""What to wait for of a leg, and how much to read of it."""

from __future__ import annotations

from easews.lowlevel import READ, WRITE

from .endstates import FORWARDING, SEALED, Receiving, Sending
from .leg import Leg
from .loop import FORWARD, LOOK, REPORT
from .sizes import BUFFER_BYTES, LARGE_FRAME, SCARCE_BYTES, TURN_BYTES


def wants_bytes(leg: Leg) -> bool:
    """Whether to read it now: not while the other side is behind, nor while a filter is. What is
    ignored is read all the same: a peer that is stuck in sending would not see its Close, and
    unread bytes make a reset of our end.
    """
    if leg.receiving is Receiving.ENDED or leg.resume_at:
        return False
    ignored = leg.receiving is not Receiving.OPEN or leg.other.sending in SEALED
    return ignored or (leg.other.pending is None and not (leg.lane and leg.lane.waits))


def is_direct(leg: Leg) -> bool:
    """Whether the loop may receive what it sends, and send it to the other leg, as far as that is
    unremarkable.
    """
    other = leg.other
    return (
        (leg.is_plain or leg.tls is not None)
        and (other.is_plain or other.tls is not None)
        and leg.receiving is Receiving.OPEN
        and other.sending in FORWARDING
        and not leg.held
        and leg.meter is None
        and other.inserts is None
        and not leg.taps
    )


def way_of(leg: Leg) -> int:
    """What the loop may do by itself of what the leg sends: see `loop`."""
    if not is_direct(leg):
        return REPORT
    if leg.lane is None:
        return FORWARD
    return LOOK if leg.read_size == TURN_BYTES and not leg.lane.is_filling else REPORT


def is_unhindered(leg: Leg) -> bool:
    """Whether one whose messages the loop has looked at may go on as before."""
    return leg.other.pending is None and not leg.held and leg.read_size == TURN_BYTES


def update_interest(leg: Leg) -> None:
    """Wait for what is needed now: bytes that it sends, and room for what is pending."""
    if leg.loop is not None:
        reads = READ if wants_bytes(leg) else 0
        writes = WRITE if leg.pending is not None or leg.shutdown_waits else 0
        leg.loop.update_interest(leg.fd, reads | writes, way_of(leg))


def can_splice(leg: Leg) -> bool:
    """Whether the inside of a large frame may be forwarded without coming into the process."""
    large = leg.walker.remaining >= LARGE_FRAME
    plain = leg.is_plain and leg.other.is_plain
    return large and plain and leg.lane is None and is_direct(leg) and not leg.held_bytes.scarce


def can_fill(leg: Leg) -> bool:
    """Whether what comes next is a part of a large message that its lane has a place for."""
    lane = leg.lane
    return lane is not None and lane.is_filling and leg.receiving is Receiving.OPEN


def next_read_size(leg: Leg) -> int:
    """How many bytes to read now."""
    remaining = leg.walker.remaining
    if leg.other.inserts is not None and not remaining:
        # Between fragments a message of ours waits for the last one: of a header come no more bytes
        # than the shortest has, so that no frame can end behind that one.
        return leg.walker.header_size
    if leg.held_bytes.scarce:
        return min(remaining or SCARCE_BYTES, SCARCE_BYTES)
    if not remaining:
        return leg.read_size
    if leg.other.sending is Sending.LAST_FRAME or leg.other.inserts is not None:
        return min(remaining, leg.read_size)  # stop at the frame's end: something goes there
    if remaining >= LARGE_FRAME:
        return min(remaining, BUFFER_BYTES)
    return leg.read_size
