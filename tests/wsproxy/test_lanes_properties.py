"""Random messages through filters that look, change and drop, with `websockets` at both ends.

What an application gets has to be what the filters have made of what the other one sent, whatever
the fragments, the compression, the reads and the pings in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from easews import Filter, Message, Session
from easews_wsproxy.messages.deflate import Agreed

pytestmark = pytest.mark.slow  # on one Python is enough

SIZES = st.one_of(
    st.integers(0, 10), st.sampled_from([125, 126, 1000, 16_000, 65535, 65536, 100_000])
)
#: What the filter does with a message: its first byte says so.
ACTIONS = {"=": "as it is", "~": "changed", "-": "dropped", "2": "twice", "<": "answered"}


class Acts(Filter):
    """Does with a message what its first character says."""

    kind = "Acts"

    def on_message(self, session: Session, message: Message) -> Any:
        head = head_of(message.data)
        if head == "<":
            back = session.send_to_client if message.sender == "client" else session.send_to_backend
            back(b"injected")
        return list(made_of(message.data)) if head in "-2~" else message


def head_of(data: str | bytes) -> str:
    return data[:1] if isinstance(data, str) else data[:1].decode()


def made_of(data: str | bytes) -> list[str | bytes]:
    """What the filter makes of a message."""
    head = head_of(data)
    if head == "-":
        return []
    if head == "2":
        return [data, data]
    return [data + data[:3]] if head == "~" else [data]  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message, in how many fragments, and whether a ping comes behind each of them."""

    data: str | bytes
    fragments: int
    pings: bool
    compresses: bool


@st.composite
def messages(draw: st.DrawFn) -> list[Sent]:
    """What an application sends."""
    sent: list[Sent] = []
    for _ in range(draw(st.integers(1, 8))):
        head, size = draw(st.sampled_from([*"===~-2<"])), draw(SIZES)
        text = head + draw(st.sampled_from(["lorem ipsum é€😀", "xy", '{"key": 1}'])) * size
        text = text[: 1 + size]
        data = text if draw(st.booleans()) else text.encode()
        fragments, pings = draw(st.integers(1, 4)), draw(st.booleans())
        sent.append(Sent(data, fragments, pings, draw(st.booleans())))
    return sent


AGREED = st.one_of(
    st.none(),
    st.builds(
        Agreed,
        client_bits=st.integers(9, 15),
        server_bits=st.integers(9, 15),
        client_forgets=st.booleans(),
        server_forgets=st.booleans(),
    ),
)


def application(side: Side, agreed: Agreed | None) -> Protocol:
    """One end on `websockets`."""
    protocol = Protocol(side, max_size=None)
    if agreed is not None:
        server = (agreed.server_forgets, agreed.client_forgets)
        bits = (agreed.server_bits, agreed.client_bits)
        theirs, ours = (server, bits) if side is Side.CLIENT else (server[::-1], bits[::-1])
        protocol.extensions = [PerMessageDeflate(*theirs, *ours)]
    return protocol


def send(protocol: Protocol, message: Sent) -> None:
    payload = message.data if isinstance(message.data, bytes) else message.data.encode()
    opcode = Opcode.BINARY if isinstance(message.data, bytes) else Opcode.TEXT
    extensions = protocol.extensions
    if not message.compresses:
        protocol.extensions = []
    step = len(payload) // message.fragments + 1
    pieces = [payload[at : at + step] for at in range(0, max(len(payload), 1), step)]
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        protocol.send_frame(Frame(Opcode.CONT if number else opcode, piece, fin=is_last))
        if message.pings:
            protocol.send_ping(b"between")
    protocol.extensions = extensions


class Reads:
    """What an application has received: whole messages."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.pings = 0
        self._parts = b""
        self._is_text = False

    def take(self, protocol: Protocol) -> None:
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode is Opcode.PING:
                self.pings += 1
                continue
            if frame.opcode is Opcode.PONG:
                continue
            assert frame.opcode is not Opcode.CLOSE, frame
            if frame.opcode is not Opcode.CONT:
                self._parts, self._is_text = b"", frame.opcode is Opcode.TEXT
            self._parts += bytes(frame.data)
            if frame.fin:
                self.messages.append(self._parts.decode() if self._is_text else self._parts)


def relay_all(by_hand: Any, ends: dict[str, Protocol], step: int) -> dict[str, Reads]:
    """Run both applications and the session until nothing moves."""
    reads = {role: Reads() for role in ends}
    moves = True
    while moves:
        moves = False
        for role, protocol in ends.items():
            far = getattr(by_hand, role)
            far.outbox += b"".join(protocol.data_to_send())
            moves |= far.push(step)
            by_hand.turn()
            moves |= far.pull(step * 3)
            if far.received:
                protocol.receive_data(bytes(far.received))
                far.received.clear()
                assert protocol.parser_exc is None
                reads[role].take(protocol)
    return reads


@settings(deadline=None, max_examples=60)
@given(
    from_client=messages(),
    from_backend=messages(),
    agreed=AGREED,
    step=st.sampled_from([7_001, 40_000, 1 << 20]),
    tiny=st.booleans(),
)
def test_what_arrives_is_what_the_filters_made_of_what_was_sent(
    run_by_hand: Any,
    loop_type: Any,
    from_client: list[Sent],
    from_backend: list[Sent],
    agreed: Agreed | None,
    step: int,
    tiny: bool,
) -> None:
    event(f"compression: {agreed is not None}")
    sent = {"client": from_client, "backend": from_backend}
    ends = {
        "client": application(Side.CLIENT, agreed),
        "backend": application(Side.SERVER, agreed),
    }
    for role, protocol in ends.items():
        for message in sent[role]:
            send(protocol, message)
    acts = Acts("acts", {})
    with run_by_hand(
        loop_type, filters=[acts], agreed=agreed, send_buffer=1 if tiny else None
    ) as by_hand:
        reads = relay_all(by_hand, ends, step)
        assert by_hand.session.held == by_hand.relay._held_bytes.count == 0
        for leg in (by_hand.session.client, by_hand.session.backend):
            assert leg.pending is None
            assert not leg.held
    for sender, receiver in (("client", "backend"), ("backend", "client")):
        expected = [made for message in sent[sender] for made in made_of(message.data)]
        injected = sum(message.data[:1] in ("<", b"<") for message in sent[receiver])
        arrived = reads[receiver].messages
        assert arrived.count(b"injected") == injected
        assert [data for data in arrived if data != b"injected"] == expected
        pings = sum(_pings_of(message) for message in sent[sender])
        assert reads[receiver].pings == pings


def _pings_of(message: Sent) -> int:
    size = len(message.data if isinstance(message.data, bytes) else message.data.encode())
    step = size // message.fragments + 1
    return len(range(0, max(size, 1), step)) if message.pings else 0
