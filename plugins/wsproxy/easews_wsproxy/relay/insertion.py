"""Messages that filters send by themselves: each goes out between two of the other side's."""

from __future__ import annotations

from easews import Data

from .endstates import SEALED
from .frames import encode_frame, new_mask
from .leg import Leg
from .sizes import INSERTED_BYTES


def is_behind(leg: Leg) -> bool:
    """Whether more waits for the peer than a session may cost."""
    return leg.injected + len(leg.inserts or b"") > INSERTED_BYTES


def insert_message(leg: Leg, data: Data) -> None:
    """Send `leg` a message, at the end of one that is being sent. UnicodeEncodeError when it is a
    text with surrogates.

    It is not compressed: no window changes then (RFC 7692 §7.2). Nothing is sent to a peer that is
    lost, which may not have been noticed: it may not be read now.
    """
    frame = _frame_of(data, leg)
    if leg.sending in SEALED:
        return
    if leg.other.lane is not None:
        leg.other.lane.flush()
    if not leg.is_within_message:
        _send(leg, frame)
        return
    if leg.inserts is None:
        leg.inserts = bytearray()
    leg.inserts += frame
    leg.held_bytes.add(len(frame))


def message_ended(leg: Leg) -> None:
    """The other leg may be at the end of a message: send those that wait for that. None wait for a
    leg that is sealed.
    """
    inserts = leg.inserts
    if inserts is not None and not leg.is_within_message:
        leg.drop_inserts()
        _send(leg, inserts)


def _send(leg: Leg, frames: bytes | bytearray) -> None:
    leg.insert(frames)
    if leg.pending is not None:
        leg.injected += len(frames)


def _frame_of(data: Data, leg: Leg) -> bytes:
    mask = new_mask() if leg.role == "backend" else None  # RFC 6455 §5.3
    if isinstance(data, str):
        return encode_frame(0x81, data.encode(), mask)
    return encode_frame(0x82, data, mask)
