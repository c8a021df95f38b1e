"""Messages as frames: what a peer reads of them, and their masks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import Protocol, Side, State

from easews import Data
from easews_wsproxy.messages.deflate import Deflater
from easews_wsproxy.messages.writing import encode_message
from easews_wsproxy.relay.compiled import apply_mask
from easews_wsproxy.relay.masking import rotate


def read_by_peer(sent: bytes, masked: bool, deflate: bool = False) -> list[Data]:
    peer = Protocol(Side.SERVER if masked else Side.CLIENT, state=State.OPEN, max_size=None)
    if deflate:
        peer.extensions = [PerMessageDeflate(False, False, 15, 15)]
    peer.receive_data(sent)
    assert peer.parser_exc is None
    found: list[Data] = []
    for frame in peer.events_received():
        assert frame.fin  # type: ignore[union-attr]
        data = bytes(frame.data)  # type: ignore[union-attr]
        found.append(data.decode() if frame.opcode == 1 else data)  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize("masked", [False, True], ids=["to a client", "to a server"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 0xFFFF, 0x10000, 70_000])
def test_a_peer_reads_a_message_of_any_size(size: int, masked: bool) -> None:
    messages: list[Data] = ["x" * size, b"\xff" * size, "é"]
    sent = b"".join(encode_message(message, masked) for message in messages)

    assert read_by_peer(sent, masked) == messages


@pytest.mark.parametrize("masked", [False, True])
def test_a_peer_reads_compressed_messages(masked: bool) -> None:
    messages: list[Data] = ["", "hello" * 50, b"\xff" * 300, "hello" * 50, ""]
    deflater = Deflater(15, forgets=False)
    sent = b"".join(encode_message(message, masked, deflater) for message in messages)

    assert len(sent) < 100
    assert read_by_peer(sent, masked, deflate=True) == messages


def test_each_message_has_a_mask_of_its_own() -> None:
    assert len({encode_message(b"", True)[2:] for _ in range(10)}) == 10


def test_a_text_that_utf8_cannot_express_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_message("\ud800", False)


# Masking


def test_the_example_of_the_rfc_is_masked_as_it_says() -> None:
    key = bytes.fromhex("37fa213d")

    assert apply_mask(b"Hello", key) == bytes.fromhex("7f9f4d5158")  # RFC 6455 §5.7
    assert apply_mask(bytes.fromhex("7f9f4d5158"), key) == b"Hello"


@given(st.binary(max_size=40), st.binary(min_size=4, max_size=4), st.integers(0, 40))
def test_a_payload_in_pieces_is_masked_as_it_would_be_at_once(
    data: bytes, key: bytes, cut: int
) -> None:
    first, rest = data[:cut], data[cut:]

    pieces = apply_mask(first, key) + apply_mask(rest, rotate(key, len(first)))

    assert pieces == apply_mask(data, key)
