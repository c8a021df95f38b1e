"""permessage-deflate: what zlib's streams are asked for, and what peers can read of it."""

from __future__ import annotations

import os
import tracemalloc
import zlib

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from easews import Headers
from easews_wsproxy.handshake.extensions import agreed_parameters
from easews_wsproxy.messages.deflate import Agreed, BadData, Deflater, Inflater, TooBig

TAIL = b"\x00\x00\xff\xff"
TEXT = b'{"price": 17, "volume": 3, "symbol": "ABC"}'


def whole(inflater: Inflater, payload: bytes, room: int = 1 << 20) -> bytes:
    data = inflater.inflate(payload, room)
    return data + inflater.finish(room - len(data))


# What was agreed on


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [
        ("", Agreed()),
        ("; client_max_window_bits=9; server_max_window_bits=12", Agreed(9, 12)),
        ("; server_no_context_takeover", Agreed(server_forgets=True)),
        ("; client_no_context_takeover", Agreed(client_forgets=True)),
        ('; server_max_window_bits="8"', Agreed(server_bits=8)),
    ],
)
def test_the_agreement_is_read_from_the_answer(answer: str, agreed: Agreed) -> None:
    headers = Headers([("Sec-WebSocket-Extensions", f"permessage-deflate{answer}")])
    parameters = agreed_parameters(headers)

    assert parameters is not None
    assert Agreed.of(parameters) == agreed


def test_an_answer_without_it_has_no_parameters() -> None:
    assert agreed_parameters(Headers([("Sec-WebSocket-Extensions", "x-other")])) is None
    assert agreed_parameters(Headers([])) is None


def test_each_side_compresses_by_its_own_parameters() -> None:
    agreed = Agreed(client_bits=8, server_bits=9, client_forgets=False, server_forgets=True)

    assert agreed.deflater("client") is None  # zlib has no such window
    deflater = agreed.deflater("backend")
    assert deflater is not None
    assert deflater.deflate(TEXT) == deflater.deflate(TEXT)
    assert (agreed.forgets("client"), agreed.forgets("backend")) == (False, True)


# Inflating


def test_pieces_are_inflated_as_they_come() -> None:
    inflater = Inflater(forgets=False)
    payload = Deflater(15, forgets=False).deflate(TEXT)

    data = b"".join(inflater.inflate(payload[at : at + 1], 100) for at in range(len(payload)))

    assert data + inflater.finish(100) == TEXT


@pytest.mark.parametrize("room", [0, 1, len(TEXT) - 1])
def test_what_has_no_room_is_too_big(room: int) -> None:
    payload = Deflater(15, forgets=False).deflate(TEXT)

    with pytest.raises(TooBig):
        whole(Inflater(forgets=False), payload, room)


@pytest.mark.parametrize("size", [0, 1, len(TEXT)])
def test_room_for_exactly_the_message_is_enough(size: int) -> None:
    payload = Deflater(15, forgets=False).deflate(TEXT[:size])

    assert whole(Inflater(forgets=False), payload, size) == TEXT[:size]


def test_a_stream_that_has_ended_makes_room_for_another_and_not_for_more_bytes() -> None:
    stream = zlib.compressobj(wbits=-15)
    ended = stream.compress(bytes(60)) + stream.flush()

    assert whole(Inflater(forgets=False), ended + ended + b"\x00", 120) == bytes(120)
    with pytest.raises(TooBig):
        Inflater(forgets=False).inflate(ended + ended, 119)


def test_bytes_that_are_no_deflate_data_are_bad() -> None:
    with pytest.raises(BadData):
        Inflater(forgets=False).inflate(b"\xff\xff", 100)


def test_streams_are_counted_for_each_message() -> None:
    inflater = Inflater(forgets=False)
    ended = b"\x03\x00" * 63 + b"\x00"

    for _ in range(3):
        assert whole(inflater, ended) == b""
    with pytest.raises(BadData):
        inflater.inflate(b"\x03\x00" * 66, 100)


# Deflating


def peer_reads(payload: bytes, peer: PerMessageDeflate) -> bytes:
    frame = peer.decode(Frame(Opcode.BINARY, payload, rsv1=True))
    return bytes(frame.data)


@pytest.mark.parametrize("forgets", [False, True])
def test_a_peer_reads_what_was_deflated(forgets: bool) -> None:
    deflater = Deflater(15, forgets)
    peer = PerMessageDeflate(forgets, forgets, 15, 15)

    for data in (b"", b"", TEXT, b"", TEXT, os.urandom(70_000), bytes(70_000), TEXT, b""):
        assert peer_reads(deflater.deflate(data), peer) == data


def test_an_empty_message_has_a_payload_too() -> None:
    """zlib's flush alone makes nothing when nothing has come since the last one."""
    deflater = Deflater(15, forgets=False)

    assert all(deflater.deflate(b"") for _ in range(3))


@pytest.mark.parametrize("bits", range(9, 16))
def test_the_window_is_no_larger_than_agreed(bits: int) -> None:
    """A receiver with that window can read it, also when what repeats is far behind."""
    deflater = Deflater(bits, forgets=False)
    receiver = zlib.decompressobj(-bits)
    noise = os.urandom(300)

    for distance in (200, 700, 1500, 3000, 6000, 12_000, 24_000):
        data = noise + os.urandom(distance) + noise
        assert receiver.decompress(deflater.deflate(data) + TAIL) == data


def test_context_takeover_makes_like_messages_small() -> None:
    taking_over, forgetting = Deflater(15, forgets=False), Deflater(15, forgets=True)
    taking_over.deflate(TEXT)

    assert len(taking_over.deflate(TEXT)) < len(forgetting.deflate(TEXT)) / 3


# Memory


def test_streams_are_made_when_needed_and_kept_only_for_a_context() -> None:
    tracemalloc.start()
    try:
        idle = [(Inflater(forgets), Deflater(15, forgets)) for forgets in (True, False)]
        unused, _ = tracemalloc.get_traced_memory()
        kept = []
        for inflater, deflater in idle:
            before, _ = tracemalloc.get_traced_memory()
            whole(inflater, deflater.deflate(TEXT))
            kept.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()

    assert unused < 2000
    assert kept[0] < 2000
    assert 40_000 < kept[1] < 110_000
