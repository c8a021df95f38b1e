"""Random frames in random pieces both ways, with pings and Closes of ours put in between.

What comes out is read by `websockets`. Take our own frames out of it, and what is left has to be
what was sent, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from easews_wsproxy.relay.watchdog import Limits

pytestmark = pytest.mark.slow  # on one Python is enough

#: The session's clock is moved by the test, in steps of one interval.
INTERVAL = 1000.0
LIMITS = Limits(ping_interval=INTERVAL, ping_timeout=1e12, slow_reader=1e12)
SIZES = st.one_of(
    st.integers(0, 10), st.sampled_from([125, 126, 1000, 65535, 65536, 100_000, 400_000])
)
OUR_CLOSE = (1012).to_bytes(2) + b"the gateway restarts"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame with the bytes that it was."""

    opcode: Opcode
    payload: bytes
    raw: bytes


def decode(stream: bytes, masked: bool) -> tuple[list[Decoded], bytes]:
    """The frames of a stream as `websockets` sees them, and what is left of it at the end."""
    reader = StreamReader()
    reader.feed_data(stream)
    frames: list[Decoded] = []
    while True:
        rest = bytes(reader.buffer)
        try:
            next(Frame.parse(reader.read_exact, mask=masked))
        except StopIteration as stop:
            frame: Frame = stop.value
        else:
            return frames, rest
        raw = rest[: len(rest) - len(reader.buffer)]
        frames.append(Decoded(frame.opcode, bytes(frame.data), raw))


@st.composite
def applications(draw: st.DrawFn) -> list[tuple[Opcode, bytes, bool]]:
    """What an application sends: messages in fragments, pings and pongs anywhere."""
    frames: list[tuple[Opcode, bytes, bool]] = []
    controls = st.lists(
        st.tuples(
            st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125), st.just(True)
        ),
        max_size=2,
    )
    for sizes in draw(st.lists(st.lists(SIZES, min_size=1, max_size=4), min_size=1, max_size=5)):
        for number, size in enumerate(sizes):
            frames += draw(controls)
            opcode = Opcode.CONT if number else Opcode.BINARY
            payload = bytes([len(frames) & 0xFF]) * size
            frames.append((opcode, payload, number == len(sizes) - 1))
    return frames


SIDES = st.sampled_from(["client", "backend"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), SIDES, st.sampled_from([1, 7, 100, 5000])),
        st.tuples(st.just("send"), SIDES, st.just(1 << 20)),
        st.tuples(st.just("receive"), SIDES, st.sampled_from([1, 100, 20_000, 1 << 20])),
        st.tuples(st.just("pass time"), st.none(), st.just(0)),
        st.tuples(st.just("answer"), SIDES, st.just(0)),
    ),
    min_size=10,
    max_size=60,
)


class Conversation:
    """A session by hand, and what its applications have sent and received."""

    def __init__(self, by_hand: Any, frames: dict[str, list[tuple[Opcode, bytes, bool]]]) -> None:
        self.by_hand = by_hand
        self.waiting = {role: list(reversed(frames[role])) for role in frames}
        self.sent = dict.fromkeys(frames, b"")
        self.answered = dict.fromkeys(frames, 0)

    def load(self, role: str) -> None:
        """Put the next frame into the outbox when the last one has gone."""
        far = getattr(self.by_hand, role)
        if not far.outbox and self.waiting[role]:
            opcode, payload, fin = self.waiting[role].pop()
            far.outbox += self._frame(role, opcode, payload, fin)
            self.sent[role] += bytes(far.outbox)

    def _frame(self, role: str, opcode: Opcode, payload: bytes, fin: bool = True) -> bytes:
        return bytes(Frame(opcode, payload, fin).serialize(mask=role == "client"))

    def step(self, what: str, role: str | None, size: int) -> None:
        if role is None:
            self.by_hand.pass_time(INTERVAL)
        elif what == "send":
            self.load(role)
            getattr(self.by_hand, role).push(size)
        elif what == "receive":
            getattr(self.by_hand, role).pull(size)
        else:
            self.answer_pings(role)
        self.by_hand.turn()

    def answer_pings(self, role: str) -> None:
        """Answer those of ours that have come, if that is possible in between two frames."""
        far = getattr(self.by_hand, role)
        _, pings = self.sort_out(role)
        if not far.outbox:
            for ping in pings[self.answered[role] :]:
                far.outbox += self._frame(role, Opcode.PONG, ping)
            self.answered[role] = len(pings)

    def sort_out(self, role: str) -> tuple[bytes, list[bytes]]:
        """What has come to `role` from the other side, and the payloads of pings of ours."""
        heartbeat = getattr(self.by_hand.session, role).heartbeat
        frames, rest = decode(bytes(getattr(self.by_hand, role).received), role == "backend")
        ours = [
            frame
            for frame in frames
            if frame.opcode is Opcode.PING and heartbeat.is_ours(frame.payload)
        ]
        theirs = b"".join(frame.raw for frame in frames if frame not in ours)
        return theirs + rest, [frame.payload for frame in ours]

    def finish(self) -> None:
        """Have all that is left sent, and all that comes received."""
        self.by_hand.settle()
        while any(self.waiting.values()):
            for role in self.waiting:
                self.load(role)
            self.by_hand.settle()


def _talked(by_hand: Any, sent: Any, data: st.DataObject) -> Conversation:
    """A conversation after some steps."""
    talk = Conversation(by_hand, sent)
    for step in data.draw(STEPS):
        talk.step(*step)
    return talk


BUFFERS = st.sampled_from([None, 1, 20_000])


@given(data=st.data())
@settings(max_examples=60)
def test_applications_get_what_was_sent_and_our_pings_only_in_between(
    loop_type: Any, run_by_hand: Any, tls: Any, data: st.DataObject
) -> None:
    sent = {role: data.draw(applications(), role) for role in ("client", "backend")}
    with run_by_hand(loop_type, LIMITS, send_buffer=data.draw(BUFFERS), tls=tls) as by_hand:
        talk = _talked(by_hand, sent, data)
        talk.finish()
        for role, other in (("client", "backend"), ("backend", "client")):
            theirs, pings = talk.sort_out(role)
            assert theirs == talk.sent[other]
            event(f"{len(pings)} pings to a {role}")
        traffic = [one.messages for one in by_hand.session.traffic()]
    assert traffic == [sum(fin and op < 8 for op, _, fin in sent[role]) for role in sent]


@given(data=st.data())
@settings(max_examples=60)
def test_a_close_of_ours_comes_behind_whole_frames_and_nothing_comes_behind_it(
    loop_type: Any, run_by_hand: Any, tls: Any, data: st.DataObject
) -> None:
    sent = {role: data.draw(applications(), role) for role in ("client", "backend")}
    with run_by_hand(loop_type, LIMITS, send_buffer=data.draw(BUFFERS), tls=tls) as by_hand:
        talk = _talked(by_hand, sent, data)
        waits = any(
            leg.walker.remaining for leg in (by_hand.session.client, by_hand.session.backend)
        )
        event(f"the Close {'waits' if waits else 'goes at once'}")
        by_hand.session.close(1012, "the gateway restarts")
        talk.finish()
        for role, other in (("client", "backend"), ("backend", "client")):
            theirs, _ = talk.sort_out(role)
            frames, rest = decode(theirs, role == "backend")
            assert rest == b""
            assert [frame.payload for frame in frames if frame.opcode is Opcode.CLOSE] == [
                OUR_CLOSE
            ]
            assert frames[-1].opcode is Opcode.CLOSE
            assert talk.sent[other].startswith(theirs.removesuffix(frames[-1].raw))
