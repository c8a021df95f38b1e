"""Messages from the bytes of one side, one rule at a time."""

from __future__ import annotations

import os
import tracemalloc
import zlib
from collections.abc import Iterable
from typing import Any

import pytest
from tests.wsproxy.loops import LOOPS, PURE, reading_on

from easews_wsproxy.messages.deflate import Agreed
from easews_wsproxy.relay import compiled as chosen
from easews_wsproxy.relay.masking import apply_mask

FIN, RSV1 = 0x80, 0x40
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\xa1\xb2\xc3\xd4"
LIMIT = 1000


@pytest.fixture(scope="module", params=LOOPS)
def reading(request: pytest.FixtureRequest) -> Any:
    return reading_on(PURE if request.param == "pure" else chosen)


def frame(first: int, payload: bytes = b"", mask: bytes = MASK) -> bytes:
    size = len(payload)
    mask_bit = 0x80 if mask else 0
    if size < 126:
        head = bytes([first, mask_bit | size])
    elif size < 0x10000:
        head = bytes([first, mask_bit | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, mask_bit | 127]) + size.to_bytes(8)
    return head + mask + (apply_mask(payload, mask) if mask else payload)


def deflated(payload: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Reading:
    """One side's bytes, read as a relay does: what was not read is presented again."""

    def __init__(self, reading: Any, *, limit: int = LIMIT, deflate: Agreed | None = None) -> None:
        self.walker = reading.Walker(masked=True, deflate=deflate is not None)
        self.reader = reading.Reader(self.walker, "client", deflate, limit)
        self.left = b""

    def reads(self, *chunks: bytes) -> list[Any]:
        """The messages in these chunks; bytes of a ping or a pong as ``("passes", them)``."""
        return [data if data is not None else ("passes", raw) for data, raw in self.items(chunks)]

    def items(self, chunks: Iterable[bytes]) -> list[tuple[Any, bytes]]:
        """Each with the bytes that it came in."""
        found = []
        for chunk in chunks:
            buffer = bytearray(b"\xff" * 3 + self.left + chunk + b"\xff" * 3)
            end = len(buffer) - 3
            items, upto = self.reader.read(buffer, 3, end)
            self.left = bytes(buffer[upto:end])
            found += [
                (data, bytes(buffer[begin:past] if raw is None else raw))
                for data, begin, past, raw in items
            ]
        return found

    @property
    def fault(self) -> tuple[int, str] | None:
        fault = self.walker.fault
        return None if fault is None else (fault.code, fault.reason)


# What passes


def test_messages_of_one_frame_each_are_found_where_they_lie(reading: Any) -> None:
    client = Reading(reading)
    buffer = bytearray(frame(FIN | TEXT, "hé".encode()) + frame(FIN | BINARY, b"\x00\xff"))

    items, upto = client.reader.read(buffer, 0, len(buffer))

    assert items == [("hé", 0, 9, None), (b"\x00\xff", 9, 17, None)]
    assert upto == 17
    assert (client.walker.frames, client.walker.messages) == (2, 2)


@pytest.mark.parametrize("mask", [MASK, b""], ids=["client", "backend"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 125, 126, 0xFFFF, 0x10000])
def test_a_message_of_any_size_is_read(reading: Any, size: int, mask: bytes) -> None:
    walker = reading.Walker(masked=bool(mask))
    reader = reading.Reader(walker, "client", None, 0x10000)
    data, text = os.urandom(size), "x" * size
    buffer = bytearray(frame(FIN | BINARY, data, mask) + frame(FIN | TEXT, text.encode(), mask))

    items, upto = reader.read(buffer, 0, len(buffer))

    assert [item[0] for item in items] == [data, text]
    assert [type(item[0]) for item in items] == [bytes, str]
    assert upto == len(buffer)


def test_fragments_are_joined_and_come_with_all_their_frames(reading: Any) -> None:
    client = Reading(reading)
    frames = [frame(TEXT, b"one "), frame(CONTINUATION), frame(FIN, b"two")]

    assert client.items(frames[:2]) == []
    assert client.items(frames[2:]) == [("one two", b"".join(frames))]
    assert client.reader.held == 0


def test_a_message_in_pieces_is_the_same_wherever_it_is_cut(reading: Any) -> None:
    sent = frame(FIN | TEXT, "1234é6789".encode()) + frame(FIN | BINARY, b"next")
    for cut in range(len(sent) + 1):
        client = Reading(reading)
        items = client.items([sent[:cut], sent[cut:]])
        assert [data for data, _ in items] == ["1234é6789", b"next"]
        assert b"".join(raw for _, raw in items) == sent


def test_a_header_that_is_incomplete_is_left_to_be_presented_again(reading: Any) -> None:
    client = Reading(reading)
    sent = frame(FIN | BINARY, bytes(200))

    assert client.reads(sent[:7]) == []
    assert client.left == sent[:7]
    assert client.reads(sent[7:]) == [bytes(200)]


def test_pings_and_pongs_pass_before_the_message_that_they_interrupt(reading: Any) -> None:
    client = Reading(reading)
    ping, pong = frame(FIN | PING, b"?"), frame(FIN | PONG)
    first, last = frame(BINARY, b"1"), frame(FIN, b"2")

    found = client.items([ping + first + ping, pong + last + pong])

    assert found == [(None, ping), (None, ping), (None, pong), (b"12", first + last), (None, pong)]
    assert (client.walker.pings, client.walker.pongs) == (2, 2)


def test_pings_pass_between_fragments_of_a_compressed_message(reading: Any) -> None:
    client = Reading(reading, deflate=Agreed())
    payload, ping = deflated(b"hello" * 20), frame(FIN | PING, b"?")

    found = client.reads(frame(TEXT | RSV1, payload[:4]) + ping + frame(FIN, payload[4:]))

    assert found == [("passes", ping), "hello" * 20]


def test_it_stops_at_a_pong_that_is_waited_for_and_reads_on_behind_it(reading: Any) -> None:
    client = Reading(reading)
    client.walker.watch_pongs = True
    before, pong = frame(FIN | TEXT, b"before") + frame(BINARY, b"1"), frame(FIN | PONG, b"ours")
    buffer = bytearray(before + pong + frame(FIN, b"2"))

    items, upto = client.reader.read(buffer, 0, len(buffer))
    assert [item[0] for item in items] == ["before"]
    assert upto == len(before)
    assert client.walker.control.payload == b"ours"

    items, upto = client.reader.read(buffer, upto + len(pong), len(buffer))
    assert [item[0] for item in items] == [b"12"]
    assert client.walker.control is None


def test_it_stops_at_a_close(reading: Any) -> None:
    client = Reading(reading)
    close = frame(FIN | CLOSE, b"\x03\xe8bye")

    assert client.reads(frame(FIN | TEXT, b"last") + close + b"anything") == ["last"]
    assert client.left == close + b"anything"
    assert (client.walker.control.code, client.walker.control.reason) == (1000, "bye")


def test_a_control_that_was_acted_on_is_forgotten_when_messages_follow(reading: Any) -> None:
    client = Reading(reading)
    client.walker.watch_pongs = True
    client.reads(frame(FIN | PONG))
    client.left = b""

    assert client.reads(frame(FIN | TEXT, b"next")) == ["next"]
    assert client.walker.control is None


# What is refused


@pytest.mark.parametrize(
    "bad",
    [frame(FIN | TEXT, b"x", b""), frame(FIN | 0x3), frame(FIN), frame(FIN | TEXT | RSV1)],
    ids=["unmasked", "reserved", "nothing to continue", "compressed"],
)
def test_a_broken_frame_is_refused_behind_the_messages_before_it(reading: Any, bad: bytes) -> None:
    client = Reading(reading)

    assert client.reads(frame(FIN | TEXT, b"good") + bad) == ["good"]
    assert client.walker.fault.code == 1002
    assert client.left == bad


@pytest.mark.parametrize("whole", [True, False])
def test_a_message_over_the_limit_is_refused_by_its_header(reading: Any, whole: bool) -> None:
    fits, too_big = (frame(FIN | BINARY, bytes(LIMIT + more)) for more in (0, 1))
    client = Reading(reading)

    assert client.reads(fits, too_big if whole else too_big[:8]) == [bytes(LIMIT)]
    assert client.fault == (1009, "message over 1000 bytes")
    assert client.reader.held == 0


@pytest.mark.parametrize("whole", [True, False])
def test_fragments_over_the_limit_are_refused_by_the_header_that_tells(
    reading: Any, whole: bool
) -> None:
    client = Reading(reading)
    last = frame(FIN, bytes(501))

    assert client.reads(frame(BINARY, bytes(500)), last if whole else last[:8]) == []
    assert client.fault == (1009, "message over 1000 bytes")


def test_the_limit_is_one_of_inflated_bytes(reading: Any) -> None:
    noise = os.urandom(LIMIT)
    assert len(deflated(noise)) > LIMIT
    client = Reading(reading, deflate=Agreed())

    assert client.reads(frame(FIN | BINARY | RSV1, deflated(noise))) == [noise]
    assert client.reads(frame(FIN | BINARY | RSV1, deflated(bytes(LIMIT)))) == [bytes(LIMIT)]
    assert client.reads(frame(FIN | BINARY | RSV1, deflated(bytes(LIMIT + 1)))) == []
    assert client.fault == (1009, "message over 1000 bytes")


def test_inflated_fragments_add_up(reading: Any) -> None:
    client = Reading(reading, deflate=Agreed())
    payload = deflated(os.urandom(LIMIT + 1))

    assert client.reads(frame(BINARY | RSV1, payload[:600])) == []
    assert client.fault is None
    assert client.reads(frame(FIN, payload[600:])) == []
    assert client.fault == (1009, "message over 1000 bytes")


@pytest.mark.parametrize("cut", [0, 500], ids=["whole", "in pieces"])
def test_what_the_end_of_a_message_completes_counts_too(reading: Any, cut: int) -> None:
    """A block that lacks bytes takes them from the tail that every receiver adds."""
    client = Reading(reading, deflate=Agreed())
    size = LIMIT - 1 + 4
    payload = b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
    sent = frame(FIN | BINARY | RSV1, payload + bytes(LIMIT - 1))

    assert client.reads(sent[:cut], sent[cut:]) == []
    assert client.fault == (1009, "message over 1000 bytes")


def test_one_limit_holds_for_all_messages_that_come_at_once(reading: Any) -> None:
    client = Reading(reading)
    messages = [frame(FIN | BINARY, bytes(LIMIT))] * 3

    assert client.reads(b"".join(messages)) == [bytes(LIMIT)] * 3
    assert client.fault is None


@pytest.mark.parametrize("rest", [b"", b" more"], ids=["whole", "in pieces"])
def test_what_cannot_be_inflated_is_refused(reading: Any, rest: bytes) -> None:
    client = Reading(reading, deflate=Agreed())
    first = BINARY | RSV1 | (0 if rest else FIN)

    assert client.reads(frame(first, b"\xff\xff\xff")) == []
    assert client.fault == (1007, "a compressed message cannot be inflated")


NO_UTF8 = {
    "a byte that never occurs": (b"ab\xff", b"cd"),
    "a surrogate": (b"ab\xed\xa0\x80", b"cd"),
    "past the last code point": (b"ab\xf4\x90", b"\x80\x80"),
}


@pytest.mark.parametrize("pieces", NO_UTF8.values(), ids=list(NO_UTF8))
def test_bad_utf8_is_refused_as_soon_as_it_has_come(
    reading: Any, pieces: tuple[bytes, bytes]
) -> None:
    seen, still_to_come = pieces
    in_fragments, cut = Reading(reading), Reading(reading)

    in_fragments.reads(frame(TEXT, seen))
    cut.reads(frame(FIN | TEXT, seen + still_to_come)[: -len(still_to_come)])

    refused = (1007, "a text message is not UTF-8")
    assert in_fragments.fault == cut.fault == refused


def test_bad_utf8_is_refused_in_whole_messages_too(reading: Any) -> None:
    plain, compressed = Reading(reading), Reading(reading, deflate=Agreed())
    good = frame(FIN | TEXT, "é".encode())

    assert plain.reads(good + frame(FIN | TEXT, b"\xff")) == ["é"]
    assert plain.left == frame(FIN | TEXT, b"\xff")
    assert compressed.reads(good + frame(FIN | TEXT | RSV1, deflated(b"\xff"))) == ["é"]
    assert plain.fault == compressed.fault == (1007, "a text message is not UTF-8")


def test_a_character_may_be_cut_but_not_be_missing_its_end(reading: Any) -> None:
    client = Reading(reading)
    euro = "€".encode()

    assert client.reads(frame(TEXT, euro[:1]), frame(FIN, euro[1:])) == ["€"]
    assert client.reads(frame(TEXT, b"ok"), frame(FIN, euro[:2])) == []
    assert client.fault == (1007, "a text message is not UTF-8")


def test_binary_messages_may_have_any_bytes(reading: Any) -> None:
    assert Reading(reading).reads(frame(BINARY, b"\xff"), frame(FIN, b"\xfe")) == [b"\xff\xfe"]


# Compression


def test_a_compressed_message_may_refer_to_those_before_it(reading: Any) -> None:
    client = Reading(reading, deflate=Agreed())
    stream = zlib.compressobj(wbits=-15)
    noise = os.urandom(300)
    payloads = [(stream.compress(noise) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4] for _ in range(3)]
    assert len(payloads[2]) < 100

    assert (
        client.reads(*(frame(FIN | BINARY | RSV1, payload) for payload in payloads)) == [noise] * 3
    )


def test_one_whose_sender_forgets_may_not(reading: Any) -> None:
    client = Reading(reading, deflate=Agreed(client_forgets=True))
    stream = zlib.compressobj(wbits=-15)
    payloads = [
        (stream.compress(b"hello hello hello") + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for _ in range(2)
    ]

    assert client.reads(*(frame(FIN | BINARY | RSV1, payload) for payload in payloads)) == [
        b"hello hello hello"
    ]
    assert client.walker.fault.code == 1007


def test_messages_that_are_not_compressed_pass_in_between(reading: Any) -> None:
    client = Reading(reading, deflate=Agreed())

    assert client.reads(
        frame(FIN | TEXT, b"plain"),
        frame(FIN | TEXT | RSV1, deflated(b"deflated")),
        frame(FIN | TEXT, b"plain"),
    ) == ["plain", "deflated", "plain"]


def test_a_sender_may_end_its_stream_in_each_message(reading: Any) -> None:
    client = Reading(reading, deflate=Agreed())
    ended = bytes.fromhex("f348cdc9c9070000")  # "Hello", RFC 7692 §7.2.3.4

    assert client.reads(*[frame(FIN | TEXT | RSV1, ended)] * 100) == ["Hello"] * 100
    inside = frame(TEXT | RSV1, ended[:-1]), frame(FIN, ended)
    assert client.reads(*inside) == ["HelloHello"]


def test_a_message_of_endless_streams_is_refused(reading: Any) -> None:
    client = Reading(reading, deflate=Agreed())

    assert client.reads(frame(FIN | TEXT | RSV1, b"\x03\x00" * 100)) == []
    assert client.fault == (1007, "a compressed message cannot be inflated")


def test_a_bomb_is_refused_in_bounded_memory(reading: Any) -> None:
    limit = 1 << 20
    client = Reading(reading, limit=limit, deflate=Agreed())
    stream = zlib.compressobj(9, wbits=-15)
    block = stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)
    bomb = frame(FIN | BINARY | RSV1, block * 1024)  # a gibibyte
    assert len(bomb) < 1.1 * (1 << 20)

    tracemalloc.start()
    assert client.reads(bomb) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert client.fault == (1009, f"message over {limit} bytes")
    assert peak < len(bomb) * 3 + 4 * limit  # those of the test, and those of the reader


# Large messages in one frame

LARGE = 300_000
LARGES = pytest.mark.parametrize(
    ("first", "payload"),
    [
        (BINARY, bytes(range(256)) * (LARGE // 256)),
        (TEXT, b"x" * LARGE),
        (TEXT, "aé€😀".encode() * (LARGE // 10)),
    ],
    ids=["binary", "ascii", "text"],
)


def fill(reader: Any, sent: bytes, start: int, most: int) -> list[Any]:
    """Put what comes of a large message from `start` on where the reader wants it."""
    items: list[Any] = []
    while start < len(sent) and reader.begun is not None and reader.walker.fault is None:
        with reader.begun.room() as room:
            count = min(most, len(room), len(sent) - start)
            room[:count] = sent[start : start + count]
        start += count
        items += reader.fill(reader.begun, count)
    return items


@LARGES
@pytest.mark.parametrize("mask", [MASK, b""], ids=["client", "backend"])
@pytest.mark.parametrize("begun", [14, 16_384])
def test_a_large_message_is_received_where_it_stays(
    reading: Any, first: int, payload: bytes, mask: bytes, begun: int
) -> None:
    reader = reading.Reader(reading.Walker(masked=bool(mask)), "client", None, LARGE)
    sent = frame(FIN | first, payload, mask)

    assert reader.read(bytearray(sent[:begun]), 0, begun) == ([], begun)
    ((data, _, _, raw),) = fill(reader, sent, begun, 99_999)

    assert data == (payload.decode() if first == TEXT else payload)
    assert raw == sent
    assert (reader.begun, reader.held, reader.walker.remaining) == (None, 0, 0)
    assert reader.read(bytearray(frame(FIN | TEXT, b"next", mask)), 0, 6 + len(mask))[0]


@LARGES
def test_a_large_message_may_also_come_through_the_buffer(
    reading: Any, first: int, payload: bytes
) -> None:
    client = Reading(reading, limit=LARGE)
    sent, following = frame(FIN | first, payload), frame(FIN | TEXT, b"next")
    found = client.items([sent[:1000], sent[1000:100_001], sent[100_001:] + following])

    data = payload.decode() if first == TEXT else payload
    assert found == [(data, sent), ("next", following)]


def test_the_header_of_a_large_message_takes_little_memory(reading: Any) -> None:
    limit = 1 << 30
    reader = reading.Reader(reading.Walker(masked=True), "client", None, limit)
    sent = bytearray(frame(FIN | BINARY)[:1] + b"\xff" + limit.to_bytes(8) + MASK)

    reader.read(sent, 0, len(sent))
    with reader.begun.room() as room:
        assert 0 < len(room) <= 256 * 1024
    assert reader.held <= 256 * 1024 + len(sent)


@pytest.mark.parametrize(
    ("at", "bad"),
    [(10_000, 0xFF), (100_000, 0xFF), (20_000 - 15, 0xC3)],
    ids=["at first", "later", "a character is cut"],
)
def test_bad_utf8_in_a_large_message_is_refused_as_soon_as_it_has_come(
    reading: Any, at: int, bad: int
) -> None:
    client = Reading(reading, limit=LARGE)
    payload = bytearray(b"x" * LARGE)
    payload[at] = bad
    sent = frame(FIN | TEXT, bytes(payload))

    client.reader.read(bytearray(sent[:10_000]), 0, 10_000)
    assert fill(client.reader, sent[: at + 1000], 10_000, 1000) == []
    assert client.fault == (1007, "a text message is not UTF-8")


def test_a_large_text_may_not_end_within_a_character(reading: Any) -> None:
    client = Reading(reading, limit=LARGE)
    sent = frame(FIN | TEXT, b"x" * (LARGE - 1) + b"\xc3")

    client.reader.read(bytearray(sent[:20]), 0, 20)
    assert fill(client.reader, sent, 20, 7_777) == []
    assert client.fault == (1007, "a text message is not UTF-8")


# What is held


def test_what_one_read_inflates_is_bounded(reading: Any) -> None:
    limit = 1 << 18
    client = Reading(reading, limit=limit, deflate=Agreed())
    one = frame(FIN | BINARY | RSV1, deflated(bytes(limit)))
    buffer = bytearray(one * 100)
    reader, pos, sizes = client.reader, 0, []
    while pos < len(buffer):
        items, pos = reader.read(buffer, pos, len(buffer))
        sizes.append(sum(len(item[0]) for item in items))
        assert reader.is_full == (pos < len(buffer) or len(items) * limit >= 1 << 20)

    assert sum(sizes) == 100 * limit
    assert max(sizes) < (1 << 20) + limit


def test_it_tells_what_it_holds_of_an_unfinished_message(reading: Any) -> None:
    client = Reading(reading)
    assert client.reader.held == 0

    client.reads(frame(BINARY, bytes(100)))
    assert client.reader.held == 106 + 100
    client.reads(frame(FIN, bytes(100))[:-1])
    assert client.reader.held == 211 + 199
    client.reads(b"\x00")
    assert client.reader.held == 0


def test_frames_that_are_mostly_headers_are_not_kept(reading: Any) -> None:
    client = Reading(reading)
    parts = [frame(CONTINUATION, b"x")] * (LIMIT - 2)

    client.reads(frame(TEXT, b"x") + b"".join(parts))
    assert client.reader.held <= 2.25 * LIMIT + 1024
    assert client.items([frame(FIN, b"x")]) == [("x" * LIMIT, b"")]


def test_fragments_without_end_hold_no_more(reading: Any) -> None:
    client = Reading(reading, deflate=Agreed())
    client.reads(frame(TEXT | RSV1))

    for _ in range(100):
        client.reads(frame(CONTINUATION, b"\x00\x00\x00\xff\xff") * 100)  # nothing, deflated
        assert client.reader.held <= 1.25 * LIMIT + 1024
    assert client.fault is None


@pytest.mark.parametrize("fragmented", [True, False])
def test_a_message_that_comes_byte_by_byte_takes_no_more_than_at_once(
    reading: Any, fragmented: bool
) -> None:
    limit = 1 << 15
    client = Reading(reading, limit=limit)
    payload = "é".encode() * (limit // 2)
    sent = frame(TEXT, payload) + frame(FIN) if fragmented else frame(FIN | TEXT, payload)
    buffer = bytearray(sent)

    tracemalloc.start()
    pos = 0
    for end in range(len(sent)):
        pos = client.reader.read(buffer, pos, end)[1]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert client.reader.held <= len(sent) + (limit if fragmented else 0)
    assert held < 3 * limit
    assert client.reader.read(buffer, pos, len(sent))[0][0][0] == "é" * (limit // 2)
