"""The walker, one rule at a time; and the control frames that we write ourselves."""

from __future__ import annotations

import pytest

from easews import is_close_code
from easews_wsproxy.relay.frames import (
    CLOSE,
    PING,
    PONG,
    Control,
    Fault,
    Walker,
    encode_close,
    encode_control,
    new_mask,
)

MASK = b"\x11\x22\x33\x44"
TEXT, BINARY, CONTINUATION = 0x1, 0x2, 0x0


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = False
) -> bytes:
    """A frame with the shortest length; zeros are a mask, too, and leave the payload readable."""
    size, mask = len(payload), 0x80 if masked else 0
    first = (0x80 if fin else 0) | rsv | opcode
    if size < 126:
        head = bytes([first, mask | size])
    elif size < 0x10000:
        head = bytes([first, mask | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, mask | 127]) + size.to_bytes(8)
    return head + (bytes(4) if masked else b"") + payload


def from_server(*, deflate: bool = False, limit: int = -1) -> Walker:
    return Walker(masked=False, deflate=deflate, limit=limit)


def from_client(*, deflate: bool = False, limit: int = -1) -> Walker:
    return Walker(masked=True, deflate=deflate, limit=limit)


def verdict(data: bytes, walker: Walker | None = None) -> str:
    """The reason of the fault in `data`, which must be a 1002; what is before it passes."""
    walker = walker or from_server()
    passed = walker.walk(data, 0, len(data))
    assert walker.fault is not None, f"nothing wrong in {passed} of {len(data)} bytes"
    assert walker.fault.code == 1002
    return walker.fault.reason


# What passes


@pytest.mark.parametrize("masked", [False, True], ids=["from server", "from client"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 0xFFFF, 0x10000, 70_000])
def test_a_frame_of_any_size_passes_whole(size: int, masked: bool) -> None:
    data = frame(BINARY, bytes(size), masked=masked)
    walker = Walker(masked=masked)

    assert walker.walk(data, 0, len(data)) == len(data)
    assert (walker.frames, walker.messages, walker.remaining) == (1, 1, 0)
    assert (walker.fault, walker.control) == (None, None)


def test_a_walk_stays_between_start_and_end() -> None:
    data = b"\xff" * 5 + frame(TEXT, b"hello") + b"\xff" * 5
    walker = from_server()

    assert walker.walk(data, 5, len(data) - 5) == len(data) - 5
    assert walker.messages == 1


def test_what_is_there_of_a_payload_passes_before_the_rest_has_come() -> None:
    data = frame(BINARY, bytes(1000))
    walker = from_server()

    assert walker.walk(data, 0, 100) == 100
    assert walker.remaining == len(data) - 100
    assert walker.walk(data, 100, 200) == 200
    assert walker.walk(data, 200, len(data)) == len(data)
    assert walker.remaining == 0


@pytest.mark.parametrize("masked", [False, True])
def test_an_incomplete_header_is_withheld(masked: bool) -> None:
    for size in (0, 1000, 70_000):
        data = frame(BINARY, bytes(size), masked=masked)
        header = len(data) - size
        for cut in range(header):
            walker = Walker(masked=masked)
            assert walker.walk(data, 0, cut) == 0
            assert walker.frames == 0
            assert walker.walk(data, 0, header) == header, "presented again, it is judged"


@pytest.mark.parametrize("size", [0, 126, 0x10000])
@pytest.mark.parametrize("masked", [False, True], ids=["from server", "from client"])
def test_an_incomplete_header_is_withheld_behind_what_may_pass(masked: bool, size: int) -> None:
    whole, next_one = frame(TEXT, b"hello", masked=masked), frame(TEXT, bytes(size), masked=masked)
    for cut in range(1, len(next_one) - size):
        walker = Walker(masked=masked)
        data = whole + next_one[:cut]
        assert walker.walk(data, 0, len(data)) == len(whole)


def test_an_incomplete_control_frame_is_withheld_behind_what_may_pass() -> None:
    text, ping = frame(TEXT, b"hello"), frame(PING, b"are you there?")
    data = text + ping
    walker = from_server()

    for end in range(len(text), len(data)):
        assert walker.walk(data, len(text) if walker.frames else 0, end) == len(text)
    assert walker.pings == 0
    assert walker.walk(data, len(text), len(data)) == len(data)
    assert walker.pings == 1


def test_messages_are_counted_and_not_their_fragments_or_control_frames() -> None:
    data = b"".join(
        [
            frame(TEXT, b"one"),
            frame(BINARY, b"tw", fin=False),
            frame(PING),
            frame(CONTINUATION, b"", fin=False),
            frame(PONG),
            frame(CONTINUATION, b"o"),
            frame(TEXT),
        ]
    )
    walker = from_server()

    assert walker.walk(data, 0, len(data)) == len(data)
    assert (walker.frames, walker.messages, walker.pings, walker.pongs) == (7, 3, 1, 1)


def test_rsv1_is_fine_on_the_first_frame_of_a_message_once_deflate_was_agreed() -> None:
    data = b"".join(
        [
            frame(TEXT, b"x", rsv=0x40),
            frame(TEXT, b"x"),
            frame(BINARY, b"x", rsv=0x40, fin=False),
            frame(CONTINUATION, b"x"),
        ]
    )
    walker = from_server(deflate=True)

    assert walker.walk(data, 0, len(data)) == len(data)
    assert walker.messages == 3


# Where the relay has to act


def test_a_walk_stops_at_a_close_with_code_and_reason() -> None:
    text, close = frame(TEXT, b"hello"), encode_close(3001, "genug für heute", MASK)
    data = text.replace(b"\x05", b"\x85" + bytes(4), 1) + close
    walker = from_client()

    stop = walker.walk(data, 0, len(data))

    payload = (3001).to_bytes(2) + "genug für heute".encode()
    assert data[stop:] == close
    assert walker.control == Control(CLOSE, payload, len(close), 3001, "genug für heute")
    assert walker.fault is None


def test_a_close_without_a_code_has_none() -> None:
    data = frame(CLOSE)
    walker = from_server()

    assert walker.walk(data, 0, len(data)) == 0
    assert walker.control == Control(CLOSE, b"", 2)


def test_a_close_may_come_between_fragments() -> None:
    data = frame(TEXT, b"hel", fin=False) + encode_close(1000)
    walker = from_server()

    assert walker.walk(data, 0, len(data)) == 5
    assert walker.control is not None
    assert walker.control.code == 1000


def test_pongs_pass_until_somebody_waits_for_one() -> None:
    pong = encode_control(PONG, b"7", MASK)
    walker = from_client()
    assert walker.walk(pong, 0, len(pong)) == len(pong)

    walker.watch_pongs = True

    assert walker.walk(pong, 0, len(pong)) == 0
    assert walker.control == Control(PONG, b"7", len(pong))
    assert walker.pongs == 2


def test_the_walk_goes_on_behind_the_control_frame_it_stopped_at() -> None:
    pong, text = frame(PONG), frame(TEXT, b"hello")
    data = pong + text + pong
    walker = from_server()
    walker.watch_pongs = True

    assert walker.walk(data, 0, len(data)) == 0
    assert walker.walk(data, len(pong), len(data)) == len(pong + text)
    assert walker.control is not None
    assert walker.walk(data, len(data), len(data)) == len(data)
    assert walker.control is None


# What does not pass: 1002


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(0x3), "opcode 0x3 is reserved"),
        (frame(0x7), "opcode 0x7 is reserved"),
        (frame(0xB), "opcode 0xb is reserved"),
        (frame(0xF), "opcode 0xf is reserved"),
        (frame(TEXT, rsv=0x40), "reserved bit"),
        (frame(TEXT, rsv=0x20), "reserved bit"),
        (frame(TEXT, rsv=0x10), "reserved bit"),
        (frame(PING, rsv=0x40), "reserved bit"),
        (frame(PING, fin=False), "control frame is fragmented"),
        (frame(CLOSE, fin=False), "control frame is fragmented"),
        (frame(PONG, bytes(126)), "more than 125 bytes"),
        (frame(PING, bytes(0x10000)), "more than 125 bytes"),
        (frame(CONTINUATION), "no message to continue"),
        (frame(CONTINUATION, fin=False), "no message to continue"),
        (frame(TEXT, fin=False) + frame(TEXT), "before the last one was finished"),
        (frame(TEXT, fin=False) + frame(PING) + frame(BINARY, fin=False), "before the last one"),
        (frame(TEXT, fin=False) + frame(CONTINUATION) * 2, "no message to continue"),
        (b"\x82\x7e\x00\x7d", "not minimally encoded"),
        (b"\x82\x7e\x00\x00", "not minimally encoded"),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", "not minimally encoded"),
        (b"\x82\x7f\x80\x00\x00\x00\x00\x01\x00\x00", "top bit"),
        (frame(TEXT, masked=True), "from the server is masked"),
        (frame(PING, masked=True), "from the server is masked"),
    ],
)
def test_a_frame_that_breaks_a_rule_is_refused_and_the_rule_named(data: bytes, reason: str) -> None:
    assert reason in verdict(data)


@pytest.mark.parametrize("opcode", [TEXT, PING, CLOSE])
def test_a_client_that_does_not_mask_is_refused(opcode: int) -> None:
    assert "from the client is not masked" in verdict(frame(opcode), from_client())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(TEXT, rsv=0x40, fin=False) + frame(CONTINUATION, rsv=0x40), "RSV1"),
        (frame(PONG, rsv=0x40), "RSV1"),
        (frame(TEXT, rsv=0x60), "reserved bit"),
        (frame(TEXT, rsv=0x20), "reserved bit"),
        (frame(TEXT, rsv=0x10), "reserved bit"),
    ],
)
def test_with_deflate_agreed_other_bits_and_places_stay_forbidden(data: bytes, reason: str) -> None:
    assert reason in verdict(data, from_server(deflate=True))


def test_the_fault_of_a_long_frame_is_named() -> None:
    assert "opcode 0x3 is reserved" in verdict(b"\x83\x7f" + bytes(8))


def test_a_fault_is_seen_before_the_rest_of_its_frame_has_come() -> None:
    for data in (b"\xc1\x00", b"\x89\x7e", b"\x80\x05"):
        verdict(data)


@pytest.mark.parametrize(
    "fault",
    [frame(0x3), b"\x89\x7e\0\x7e", b"\x82\x7e\0\x7d", b"\x82\x7f\xff" + bytes(7)],
    ids=["opcode", "long ping", "long length", "top bit"],
)
def test_what_stands_before_a_fault_may_be_forwarded(fault: bytes) -> None:
    data = frame(TEXT, b"hello") + frame(PING) + fault
    walker = from_server()

    assert walker.walk(data, 0, len(data)) == 9
    assert walker.fault is not None


@pytest.mark.parametrize(
    "code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_a_close_code_that_must_not_be_sent_is_refused(code: int) -> None:
    assert not is_close_code(code)
    assert f"the code {code}" in verdict(frame(CLOSE, code.to_bytes(2)))


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1014, 3000, 3999, 4000, 4999])
def test_a_close_code_that_may_be_sent_stops_the_walk_without_a_fault(code: int) -> None:
    data = frame(CLOSE, code.to_bytes(2))
    walker = from_server()
    walker.walk(data, 0, len(data))

    assert is_close_code(code)
    assert walker.control is not None
    assert walker.control.code == code


def test_a_close_with_half_a_code_is_refused() -> None:
    assert "one byte" in verdict(frame(CLOSE, b"\x03"))


@pytest.mark.parametrize("reason", [b"\xff", b"caf\xc3", b"\xed\xa0\x80", b"\xc0\x80"])
def test_a_close_reason_that_is_not_utf_8_is_refused(reason: bytes) -> None:
    assert "not UTF-8" in verdict(frame(CLOSE, b"\x03\xe8" + reason))


# What does not pass: 1009


def test_a_message_over_the_limit_is_refused_before_its_payload() -> None:
    data = frame(BINARY, bytes(100)) + frame(BINARY, bytes(101))
    walker = from_server(limit=100)

    assert walker.walk(data, 0, 104) == 102
    assert walker.fault == Fault(1009, "message over 100 bytes")


def test_the_limit_counts_over_fragments_and_anew_for_each_message() -> None:
    message = frame(TEXT, bytes(60), fin=False) + frame(PING, bytes(90)) + frame(0, bytes(40))
    walker = from_server(limit=100)
    assert walker.walk(message * 3, 0, 3 * len(message)) == 3 * len(message)

    over = frame(TEXT, bytes(60), fin=False) + frame(0, bytes(41))

    assert walker.walk(over, 0, len(over)) == 62
    assert walker.fault == Fault(1009, "message over 100 bytes")


def test_a_limit_of_nothing_lets_empty_messages_pass() -> None:
    data = frame(TEXT) + frame(TEXT, b"x")
    walker = from_server(limit=0)

    assert walker.walk(data, 0, len(data)) == 2
    assert walker.fault is not None
    assert walker.fault.code == 1009


# What we write ourselves


@pytest.mark.parametrize("payload", [b"", b"x", b"hello", bytes(range(125))])
@pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "masked"])
def test_a_control_frame_of_ours_is_read_back_the_same(payload: bytes, mask: bytes | None) -> None:
    data = encode_control(PONG, payload, mask)
    walker = Walker(masked=mask is not None)
    walker.watch_pongs = True
    walker.walk(data, 0, len(data))

    assert walker.control == Control(PONG, payload, len(data))
    assert mask is None or data[2:6] == mask


def test_a_control_frame_is_masked_as_in_rfc_6455() -> None:
    # §5.7: a masked pong with the payload "Hello".
    expected = bytes.fromhex("8a8537fa213d7f9f4d5158")

    assert encode_control(PONG, b"Hello", bytes.fromhex("37fa213d")) == expected


def test_a_control_frame_over_125_bytes_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="at most 125"):
        encode_control(PING, bytes(126))


def test_a_close_of_ours_without_a_code_is_empty() -> None:
    assert encode_close(None) == b"\x88\x00"


def test_a_long_reason_is_cut_at_a_character() -> None:
    data = encode_close(1011, "ä" * 100)
    walker = from_server()
    walker.walk(data, 0, len(data))

    assert walker.control is not None
    assert walker.control.reason == "ä" * 61


def test_every_mask_is_a_fresh_one() -> None:
    masks = {new_mask() for _ in range(64)}

    assert len(masks) == 64
    assert {len(mask) for mask in masks} == {4}


def test_control_frames_of_ours_are_empty_unless_told_otherwise() -> None:
    assert encode_control(PING) == b"\x89\x00"
    assert encode_close(1000) == b"\x88\x02\x03\xe8"
    assert encode_close(None, mask=b"mask") == b"\x88\x80mask"


def test_a_reason_may_fill_its_frame() -> None:
    assert encode_close(1000, "x" * 123).endswith(b"x" * 123)
    assert len(encode_close(1000, "x" * 124)) == 2 + 125


def test_no_compression_is_agreed_unless_told_otherwise() -> None:
    assert "reserved bit" in verdict(frame(TEXT, rsv=0x40), Walker(masked=False))


def test_every_ping_and_pong_is_counted() -> None:
    walker = from_server()
    data = frame(PING) + frame(PONG) + frame(PING) + frame(PONG) + frame(PONG)
    assert walker.walk(data, 0, len(data)) == len(data)
    assert (walker.pings, walker.pongs) == (2, 3)


def test_a_mask_goes_on_to_the_end_of_a_full_control_frame() -> None:
    payload = bytes(range(125))
    data = encode_control(PING, payload, MASK)
    unmasked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(data[6:]))
    assert unmasked == payload


def test_a_reason_that_is_not_unicode_is_sent_all_the_same() -> None:
    assert encode_close(1000, "a\ud800") == b"\x88\x04\x03\xe8a?"
