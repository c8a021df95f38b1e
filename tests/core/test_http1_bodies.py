"""Bodies: how their end is told, and that every way of cutting the bytes reads the same."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import Headers
from easews.http.h1 import (
    LAST_CHUNK,
    BodyError,
    BodyReader,
    Framing,
    HeadError,
    RequestHead,
    ResponseHead,
    encode_chunk,
    request_framing,
    response_framing,
)

LENGTH_5 = Headers([("Content-Length", "5")])
CHUNKED = Headers([("Transfer-Encoding", "Chunked")])


@pytest.mark.parametrize(
    ("headers", "framing"),
    [
        (Headers(), Framing("none")),
        (Headers([("Content-Length", "0")]), Framing("none")),
        (LENGTH_5, Framing("length", 5)),
        (CHUNKED, Framing("chunked")),
    ],
    ids=["nothing", "zero", "length", "chunked"],
)
def test_a_requests_body_ends_as_its_head_says(headers: Headers, framing: Framing) -> None:
    assert request_framing(RequestHead("POST", "/", "1.1", headers)) == framing


# RFC 9112 §6.3, in its order.
@pytest.mark.parametrize(
    ("method", "status", "headers", "framing"),
    [
        ("HEAD", 200, LENGTH_5, Framing("none")),
        ("GET", 101, LENGTH_5, Framing("none")),
        ("GET", 204, CHUNKED, Framing("none")),
        ("GET", 304, LENGTH_5, Framing("none")),
        ("GET", 200, CHUNKED, Framing("chunked")),
        ("GET", 404, LENGTH_5, Framing("length", 5)),
        ("GET", 200, Headers([("Content-Length", "0")]), Framing("none")),
        ("GET", 200, Headers(), Framing("close")),
    ],
    ids=["HEAD", "1xx", "204", "304", "chunked", "length", "zero", "close"],
)
def test_an_answers_body_ends_by_method_status_and_head(
    method: str, status: int, headers: Headers, framing: Framing
) -> None:
    assert response_framing(ResponseHead(status, "", "1.1", headers), method) == framing


TWICE = Headers([("Content-Length", "5"), ("Content-Length", "6")])
BOTH = Headers([("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
CODINGS = Headers([("Transfer-Encoding", "gzip"), ("Transfer-Encoding", "chunked")])


@pytest.mark.parametrize("headers", [TWICE, BOTH, CODINGS], ids=["twice", "both", "codings"])
def test_framing_is_judged_where_there_is_a_body_and_nowhere_else(headers: Headers) -> None:
    for method, status in (("GET", 101), ("GET", 103), ("GET", 204), ("GET", 304), ("HEAD", 200)):
        assert response_framing(ResponseHead(status, "", "1.1", headers), method).kind == "none"
    with pytest.raises(HeadError) as caught:
        response_framing(ResponseHead(200, "", "1.1", headers), "GET")
    assert caught.value.status == 502


def read(framing: Framing, *pieces: bytes) -> tuple[bytes, BodyReader]:
    reader = BodyReader(framing)
    return b"".join(reader.feed(piece) for piece in pieces), reader


def test_without_a_body_everything_is_left_over() -> None:
    body, reader = read(Framing("none"), b"GET", b" /next")
    assert (body, reader.done, reader.leftover) == (b"", True, b"GET /next")


def test_a_body_of_known_length_ends_there_and_leaves_the_rest() -> None:
    body, reader = read(Framing("length", 5), b"ab", b"cdeGET", b" /next")
    assert (body, reader.done, reader.leftover) == (b"abcde", True, b"GET /next")


def test_a_chunked_body_loses_its_chunks_extensions_and_trailers() -> None:
    wire = b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\nGET /next"
    body, reader = read(Framing("chunked"), wire)
    assert (body, reader.done, reader.leftover) == (b"abcde", True, b"GET /next")


def test_a_body_until_the_close_is_over_at_the_end_of_the_connection() -> None:
    body, reader = read(Framing("close"), b"abc", b"de")
    assert not reader.done
    reader.feed_eof()
    assert (body, reader.done) == (b"abcde", True)


@pytest.mark.parametrize(
    ("framing", "wire"),
    [
        (Framing("length", 5), b"abcd"),
        (Framing("chunked"), b""),
        (Framing("chunked"), b"5\r\nabc"),
        (Framing("chunked"), b"3\r\nabc\r\n"),
        (Framing("chunked"), b"3\r\nabc\r\n0\r\n"),
    ],
)
def test_a_body_that_is_cut_short_is_an_error(framing: Framing, wire: bytes) -> None:
    _, reader = read(framing, wire)
    with pytest.raises(BodyError, match="ended before the body did"):
        reader.feed_eof()


# RFC 9112 §7.1. h11 lets some of these pass, so another reader may, too: they are for smuggling.
MALFORMED = {
    "letters": (b"x\r\n", "its size"),
    "no size": (b"\r\n", "its size"),
    "signed": (b"-1\r\n", "its size"),
    "0x": (b"0x3\r\nabc\r\n", "its size"),
    "underscore": (b"0_3\r\nabc\r\n", "its size"),
    "17 digits": (b"00000000000000003\r\nabc\r\n", "its size"),
    "space before the size": (b" 3\r\nabc\r\n", "its size"),
    "space behind the size": (b"3 \r\nabc\r\n", "its size"),
    "space before an extension": (b"3 ;x\r\nabc\r\n", "its size"),
    "control in an extension": (b"3;\x00\r\nabc\r\n", "its size"),
    "CR in an extension": (b"3;a\rb\r\nabc\r\n", "its size"),
    "bare LF behind the size": (b"3\nabc\r\n", "bare LF"),
    "bare LF in an extension": (b"3;a\nb\r\nabc\r\n", "bare LF"),
    "bare LF behind the data": (b"3\r\nabc\n", "bare LF"),
    "too much data": (b"3\r\nabcd\r\n", "longer"),
    "endless size": (b"1" * 5000, "over 4096 bytes"),
    "bare LF at the end": (b"0\r\n\n", "bare LF"),
    "bare LF behind a trailer": (b"0\r\nT: x\n\r\n", "bare LF"),
    "a folded trailer": (b"0\r\nT: x\r\n y\r\n\r\n", "no trailer"),
    "a request for a trailer": (b"0\r\nGET / HTTP/1.1\r\n\r\n", "no trailer"),
    "endless trailers": (b"0\r\n" + b"T: x\r\n" * 99, "no trailer"),
}


@pytest.mark.parametrize(("wire", "why"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_chunk_is_an_error(wire: bytes, why: str) -> None:
    with pytest.raises(BodyError, match=why) as caught:
        read(Framing("chunked"), wire)
    assert caught.value.status == 400


def test_receiving_nothing_is_not_the_end_of_a_body() -> None:
    body, reader = read(Framing("chunked"), b"", b"3\r\nabc\r\n", b"", b"0\r\n\r\n")
    assert (body, reader.done) == (b"abc", True)


@pytest.mark.parametrize(
    ("framing", "wire"),
    [
        (Framing("length", 5), b"abcdeGET"),
        (Framing("chunked"), b"3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\nGET"),
    ],
    ids=["length", "chunked"],
)
def test_a_body_may_come_byte_by_byte(framing: Framing, wire: bytes) -> None:
    body, reader = read(framing, *(wire[i : i + 1] for i in range(len(wire))))
    assert (body, reader.done, reader.leftover) == (b"abcde", True, b"GET")


def test_an_empty_chunk_is_not_sent_as_it_would_end_the_body() -> None:
    assert encode_chunk(b"") == b""


@given(st.lists(st.binary(max_size=40), max_size=5), st.binary(max_size=9), st.data())
def test_chunks_read_the_same_however_they_are_cut(
    chunks: list[bytes], behind: bytes, data: st.DataObject
) -> None:
    wire = b"".join(map(encode_chunk, chunks)) + LAST_CHUNK + behind
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    body, reader = read(Framing("chunked"), *pieces)
    assert (body, reader.done, reader.leftover) == (b"".join(chunks), True, behind)


@given(st.binary(min_size=1, max_size=300))
def test_h11_reads_the_chunks_that_we_send(data: bytes) -> None:
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.receive_data(encode_chunk(data) + LAST_CHUNK)
    events = [peer.next_event(), peer.next_event(), peer.next_event()]
    assert isinstance(events[1], h11.Data)
    assert (events[1].data, type(events[2])) == (data, h11.EndOfMessage)


def by_h11(wire: bytes) -> tuple[bytes, bytes] | None:
    """The body and what is left over, or None when h11 refuses it or waits for more."""
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert isinstance(peer.next_event(), h11.Request)
    peer.receive_data(wire)
    body = b""
    while isinstance(event := peer.next_event(), h11.Data):
        body += event.data
    return (body, peer.trailing_data[0]) if isinstance(event, h11.EndOfMessage) else None


VALID = b'3\r\nabc\r\nA;x="y"\r\n0123456789\r\n0;z\r\nT: t\r\n\r\nGET'
DAMAGE = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"0", b"3", b" ", b";", b":", b"\0"]))


@given(st.integers(0, len(VALID)), st.integers(0, 3), DAMAGE)
def test_a_damaged_chunked_body_is_refused_or_ends_where_h11_ends_it(
    offset: int, cut: int, inserted: list[bytes]
) -> None:
    wire = VALID[:offset] + b"".join(inserted) + VALID[offset + cut :]
    try:
        body, reader = read(Framing("chunked"), wire)
    except BodyError:
        return
    assert not reader.done or (body, reader.leftover) == by_h11(wire)
