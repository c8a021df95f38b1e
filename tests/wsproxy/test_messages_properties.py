"""Any messages, in any frames and any cut: what was sent is what is read, by everybody."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wsproxy.loops import LOOPS, PURE, reading_on
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from easews_wsproxy.messages.deflate import Agreed
from easews_wsproxy.relay import compiled as chosen
from easews_wsproxy.relay.masking import apply_mask

FIN, RSV1 = 0x80, 0x40
READINGS = {loop: reading_on(PURE if loop == "pure" else chosen) for loop in LOOPS}
LIMIT = 200_000


@dataclass(slots=True)
class Traffic:
    """What one side sends, and what is to be read of it: messages as ``(data, its frames)``, and
    pings and pongs as ``(None, the frame)``.
    """

    masked: bool
    deflate: Agreed | None
    wire: bytearray = field(default_factory=bytearray)
    items: list[tuple[str | bytes | None, bytes]] = field(default_factory=list)

    @property
    def messages(self) -> list[str | bytes]:
        return [data for data, _ in self.items if data is not None]


class Compressing:
    """A compressor as peers have them: of any level, with its context or without."""

    def __init__(self, forgets: bool) -> None:
        self._forgets = forgets
        self._stream: Any = None

    def compress(self, data: bytes, level: int, ends_stream: bool) -> bytes:
        stream = self._stream or zlib.compressobj(level, wbits=-15)
        if ends_stream:  # RFC 7692 §7.2.3.4
            self._stream = None
            return bytes(stream.compress(data) + stream.flush() + b"\x00")
        self._stream = None if self._forgets else stream
        return bytes((stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4] or b"\x00")


BYTES = st.one_of(
    st.binary(max_size=20),
    st.builds(
        lambda part, size: (part * size)[:size],
        st.binary(min_size=1, max_size=9),
        st.sampled_from([125, 126, 500, 0xFFFF, 0x10000, 100_000]),
    ),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.builds(lambda part, count: part * count, st.text(max_size=9), st.integers(0, 3000)),
)


def encoded(first: int, payload: bytes, key: bytes) -> bytes:
    size, mask_bit = len(payload), 0x80 if key else 0
    if size < 126:
        head = bytes([first, mask_bit | size])
    elif size < 0x10000:
        head = bytes([first, mask_bit | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, mask_bit | 127]) + size.to_bytes(8)
    return head + key + (apply_mask(payload, key) if key else payload)


@st.composite
def traffic(draw: st.DrawFn, ends_streams: bool = True) -> Traffic:
    forgets = draw(st.booleans())
    deflate = Agreed(client_forgets=forgets) if draw(st.booleans()) else None
    sent = Traffic(draw(st.booleans()), deflate)
    compressing = Compressing(forgets)
    keys = st.binary(min_size=4, max_size=4) if sent.masked else st.just(b"")

    def controls() -> None:
        for opcode in draw(st.lists(st.sampled_from([0x9, 0xA]), max_size=2)):
            frame = encoded(FIN | opcode, draw(st.binary(max_size=125)), draw(keys))
            sent.wire += frame
            sent.items.append((None, frame))

    for data in draw(st.lists(st.one_of(TEXTS, BYTES), max_size=5)):
        first, payload = (1, data.encode()) if isinstance(data, str) else (2, data)
        if deflate and draw(st.booleans()):
            first |= RSV1
            ends = ends_streams and draw(st.booleans())
            payload = compressing.compress(payload, draw(st.sampled_from([0, 1, 6])), ends)
        raw = b""
        edges = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        for begin, end in zip([0, *edges], [*edges, None], strict=True):
            controls()
            fin = FIN if end is None else 0
            frame = encoded((0 if raw else first) | fin, payload[begin:end], draw(keys))
            raw += frame
            sent.wire += frame
        sent.items.append((data, raw))
    controls()
    return sent


@st.composite
def cuts(draw: st.DrawFn, size: int) -> list[int]:
    """Where reads end; close to each other as often as far apart."""
    places = draw(st.lists(st.integers(0, size), max_size=6))
    places += [near for place in places for near in range(place, place + draw(st.integers(0, 9)))]
    return sorted({size, *(place for place in places if place < size)})


def read(loop: str, sent: Traffic, ends: list[int]) -> tuple[list[Any], list[Any]]:
    """What a reader makes of it: items as they are in `Traffic`, and exactly as they came out."""
    reading = READINGS[loop]
    walker = reading.Walker(masked=sent.masked, deflate=sent.deflate is not None)
    reader = reading.Reader(walker, "client", sent.deflate, LIMIT)
    buffer, pos = bytearray(sent.wire), 0
    found: list[Any] = []
    exactly: list[Any] = []
    for end in ends:
        items, pos = reader.read(buffer, pos, end)
        assert walker.fault is None
        exactly += [*items, (pos, reader.held, walker.frames, walker.messages, walker.pings)]
        for data, begin, past, raw in items:
            found.append((data, bytes(buffer[begin:past] if raw is None else raw)))
    assert pos == len(buffer)
    assert reader.held == 0
    return found, exactly


@pytest.mark.parametrize("loop", LOOPS)
@given(data=st.data())
def test_what_was_sent_is_read_with_the_bytes_that_it_came_in(
    loop: str, data: st.DataObject
) -> None:
    sent = data.draw(traffic())

    found, _ = read(loop, sent, data.draw(cuts(len(sent.wire))))

    assert found == sent.items


@given(data=st.data())
def test_compiled_and_pure_agree_item_by_item(compiled_loop: Any, data: st.DataObject) -> None:
    sent = data.draw(traffic())
    ends = data.draw(cuts(len(sent.wire)))

    assert read("compiled", sent, ends)[1] == read("pure", sent, ends)[1]


@given(data=st.data())
def test_compiled_and_pure_find_the_same_fault_at_the_same_place(
    compiled_loop: Any, data: st.DataObject
) -> None:
    sent = data.draw(traffic())
    wire = bytearray(sent.wire)
    for place in data.draw(st.lists(st.integers(0, max(len(wire) - 1, 0)), max_size=3)):
        if wire:
            wire[place] ^= 1 << data.draw(st.integers(0, 7))
    ends = data.draw(cuts(len(wire)))
    verdicts = []
    for reading in READINGS.values():
        walker = reading.Walker(masked=sent.masked, deflate=sent.deflate is not None)
        reader = reading.Reader(walker, "client", sent.deflate, 1000)
        pos, items = 0, []
        for end in ends:
            some, pos = reader.read(wire, pos, end)
            items += some
            if walker.fault or walker.control:
                break
        fault = walker.fault and (walker.fault.code, walker.fault.reason)
        verdicts.append((items, pos, fault, reader.held))

    assert verdicts[0] == verdicts[1]


def websockets_read(sent: Traffic) -> list[str | bytes]:
    side = Side.SERVER if sent.masked else Side.CLIENT
    peer = Protocol(side, state=State.OPEN, max_size=None)
    if sent.deflate:
        peer.extensions = [PerMessageDeflate(sent.deflate.client_forgets, False, 15, 15)]
    peer.receive_data(bytes(sent.wire))
    assert peer.parser_exc is None
    messages: list[str | bytes] = []
    parts, is_text = b"", False
    for frame in peer.events_received():
        assert isinstance(frame, TheirFrame)
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            continue
        is_text = frame.opcode is Opcode.TEXT or (is_text and frame.opcode is Opcode.CONT)
        parts += bytes(frame.data)
        if frame.fin:
            messages.append(parts.decode() if is_text else parts)
            parts = b""
    return messages


@pytest.mark.parametrize("loop", LOOPS)
@given(data=st.data())
def test_websockets_reads_the_same_messages(loop: str, data: st.DataObject) -> None:
    sent = data.draw(traffic(ends_streams=False))  # which it takes for the end of all

    found, _ = read(loop, sent, [len(sent.wire)])

    assert [item for item, _ in found if item is not None] == websockets_read(sent)
