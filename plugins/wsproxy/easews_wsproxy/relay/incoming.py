"""What a session does with the bytes that one of its legs has sent: `forwarding` passes them on,
and where it stops, the session acts.

Each function is called once for a read, never for a message. `settle` has to follow.
"""

from __future__ import annotations

from .closing import NO_CODE
from .endstates import SEALED, Receiving
from .forwarding import adapt_read_size, pass_on
from .interest import is_unhindered
from .leg import Leg
from .session import RelaySession
from .sizes import FLOOD_FRAMES
from .watchdog import POLICY_VIOLATION


def on_bytes(
    session: RelaySession,
    leg: Leg,
    buffer: bytearray,
    start: int,
    end: int,
    sent: int,
    now: float,
) -> None:
    """Pass on what `leg` has sent: ``buffer[:end]``.

    Of that ``buffer[:start]`` has been judged already, and ``buffer[:sent]`` sent.
    """
    if leg.receiving is not Receiving.OPEN:
        return  # RFC 6455 §5.5.1: data behind a Close does not count
    frames = leg.walker.frames
    if leg.lane is not None and start != end:
        if leg.lane.look(buffer, end, now):
            leg.other.write(memoryview(buffer)[:end])
        _on_passed(session, leg, now)
    else:
        upto = pass_on(leg, buffer, start, end, sent, now)
        _on_passed(session, leg, now)
        if upto != end:
            on_stop(session, leg, buffer, upto, end, now)
    _on_read(session, leg, frames, end, now)


def looks_on(session: RelaySession, leg: Leg, buffer: bytearray, end: int, now: float) -> bool:
    """The same where filters read what `leg` sends; it is settled where that is needed. When it
    is true, ``buffer[:end]`` is still to be sent as it came.
    """
    lane, frames = leg.lane, leg.walker.frames
    if lane is None or leg.receiving is not Receiving.OPEN:
        return False
    if lane.look(buffer, end, now):
        if session.closing is None and leg.walker.frames - frames <= FLOOD_FRAMES:
            return True
        leg.other.write(memoryview(buffer)[:end])
    _on_passed(session, leg, now)
    _on_read(session, leg, frames, end, now)
    if not (session.closing is None and lane.is_quiet and is_unhindered(leg)):
        session.settle(now)
    return False


def on_spliced(session: RelaySession, leg: Leg, count: int, rest: bytes, now: float) -> None:
    """`count` bytes of the frame that `leg` is at were sent, but for the `rest` of them."""
    leg.walker.remaining -= count
    if rest and leg.other.sending not in SEALED:
        leg.other.keep(rest)
    _on_passed(session, leg, now)


def on_filled(session: RelaySession, leg: Leg, count: int, now: float) -> None:
    """`count` bytes of a large message have come to where its lane wants them."""
    assert leg.lane is not None
    frames = leg.walker.frames
    leg.lane.fill(count, now)
    _on_passed(session, leg, now)
    _on_read(session, leg, frames, count, now)


def on_stop(
    session: RelaySession, leg: Leg, buffer: bytearray, pos: int, end: int, now: float
) -> None:
    """The walker stopped at `pos`: at a Close, at a fault, or for want of bytes."""
    fault, control = leg.walker.fault, leg.walker.control
    if fault is not None:
        leg.discard()
        session.blame_sender(leg, fault.code, fault.reason, now)
    elif control is not None:
        code = NO_CODE if control.code is None else control.code
        closing = session.begin_to_close(leg.role, code, "closed", now)
        closing.pass_close(leg, bytes(buffer[pos : pos + control.size]), now)
    else:
        leg.held = bytes(buffer[pos:end])


def _on_read(session: RelaySession, leg: Leg, frames: int, size: int, now: float) -> None:
    """`leg` has sent so many bytes; before, it had sent so many `frames`."""
    adapt_read_size(leg, leg.walker.frames - frames, size)
    if leg.meter is not None:
        wait = leg.meter.take(leg.walker.messages, leg.walker.bytes, now)
        if wait and session.closing is None:
            _on_excess(session, leg, wait, now)


def _on_passed(session: RelaySession, leg: Leg, now: float) -> None:
    """Bytes that `leg` has sent were passed on, as far as they could be."""
    session.watch_reader(leg.other, now)
    if session.closing is not None and not leg.other.is_within_frame:
        session.closing.frame_ended(leg, now)


def _on_excess(session: RelaySession, leg: Leg, wait: float, now: float) -> None:
    """`leg` may send nothing for `wait` seconds: let it wait, or end the session."""
    rate = session.limits.client_rate
    if rate is not None and rate.close:
        session.blame_sender(leg, POLICY_VIOLATION, "sends more than it may", now)
    else:
        leg.resume_at = now + wait
        session.clock.schedule(session, leg.resume_at)
