"""Heads of requests and responses: the strict rules one by one, and h11 as the oracle."""

from __future__ import annotations

import time
from collections.abc import Callable

import h11
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from easews import Headers
from easews.http.h1 import (
    HeadError,
    RequestHead,
    ResponseHead,
    encode_request_head,
    encode_response_head,
    find_head_end,
    parse_request_head,
    parse_response_head,
    response_framing,
)


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def with_fields(*fields: str, version: str = "1.1") -> bytes:
    return head(f"POST / HTTP/{version}", "Host: a", *fields)


def refusal(raw: bytes) -> HeadError:
    with pytest.raises(HeadError) as caught:
        parse_request_head(raw)
    return caught.value


def test_a_browsers_handshake_is_taken_apart_in_its_own_order_and_case() -> None:
    raw = head(
        "GET /ws?room=1 HTTP/1.1",
        "Host: gateway.example:8080",
        "Upgrade: websocket",
        "Cookie:\t a=b; c=d \t",
        "COOKIE: e=\xff",
        "Empty:",
    )
    parsed = parse_request_head(raw)
    assert (parsed.method, parsed.target, parsed.version) == ("GET", "/ws?room=1", "1.1")
    assert list(parsed.headers) == [
        ("Host", "gateway.example:8080"),
        ("Upgrade", "websocket"),
        ("Cookie", "a=b; c=d"),
        ("COOKIE", "e=\xff"),
        ("Empty", ""),
    ]
    assert parsed.headers.get_all("cookie") == ["a=b; c=d", "e=\xff"]


# RFC 9112 §§2-3 and RFC 9110 §5, a row for each way of not being a request head.
MALFORMED = {
    "bare LF": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "bare LF"),
    "bare LF in a value": (head("GET / HTTP/1.1", "Host: a\nX: b"), 400, "bare LF"),
    "bare CR": (head("GET / HTTP/1.1", "Host: a\rX: b"), 400, "bare CR"),
    "NUL": (head("GET / HTTP/1.1", "Host: a", "X: \0"), 400, "control character"),
    "DEL": (head("GET / HTTP/1.1", "Host: a", "X: \x7f"), 400, "control character"),
    "obs-fold": (head("GET / HTTP/1.1", "Host: a", "X: b", " c"), 400, "begins with white space"),
    "space before the first field": (head("GET / HTTP/1.1", " Host: a"), 400, "begins with white"),
    "space before the colon": (head("GET / HTTP/1.1", "Host : a"), 400, "before a colon"),
    "no colon": (head("GET / HTTP/1.1", "Host: a", "X"), 400, "no colon"),
    "no name": (head("GET / HTTP/1.1", "Host: a", ": b"), 400, "no name"),
    "space in a name": (head("GET / HTTP/1.1", "Host: a", "X Y: b"), 400, "field's name"),
    "non-ASCII name": (head("GET / HTTP/1.1", "Host: a", "\xe4: b"), 400, "field's name"),
    "nothing": (head(), 400, "request line"),
    "two empty lines": (b"\r\n\r\n", 400, "request line"),
    # Nobody asks for that: the server drops them in front of a head.
    "an empty line first": (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line"),
    "no version": (head("GET /", "Host: a"), 400, "request line"),
    "two spaces": (head("GET  / HTTP/1.1", "Host: a"), 400, "request line"),
    "a tab": (head("GET\t/ HTTP/1.1", "Host: a"), 400, "request line"),
    "trailing space": (head("GET / HTTP/1.1 ", "Host: a"), 400, "request line"),
    "method": (head("G(T / HTTP/1.1", "Host: a"), 400, "method"),
    "non-ASCII target": (head("GET /\xe4 HTTP/1.1", "Host: a"), 400, "visible ASCII"),
    "fragment": (head("GET /#top HTTP/1.1", "Host: a"), 400, "fragment"),
    "lower-case version": (head("GET / http/1.1", "Host: a"), 400, "HTTP version"),
    "long version": (head("GET / HTTP/1.10", "Host: a"), 400, "HTTP version"),
    "HTTP/2": (head("PRI * HTTP/2.0"), 505, "HTTP/1.1 and HTTP/1.0"),
    "HTTP/1.9": (head("GET / HTTP/1.9", "Host: a"), 505, "HTTP/1.1 and HTTP/1.0"),
    "HTTP/0.9": (head("GET / HTTP/0.9", "Host: a"), 505, "HTTP/1.1 and HTTP/1.0"),
    "more than a head": (head("GET / HTTP/1.1", "Host: a") + b"body", 400, ""),
}

# RFC 9112 §3.2: the request target and Host.
TARGETS = {
    "half a triplet": (head("GET /%a HTTP/1.1", "Host: a"), "hexadecimal"),
    "no hexadecimal triplet": (head("GET /%zz HTTP/1.1", "Host: a"), "hexadecimal"),
    "percent at the query's end": (head("GET /?a=% HTTP/1.1", "Host: a"), "hexadecimal"),
    "authority-form": (head("CONNECT a:443 HTTP/1.1", "Host: a:443"), "no path"),
    "relative": (head("GET ws HTTP/1.1", "Host: a"), "no path"),
    "another scheme": (head("GET ftp://a/ HTTP/1.1", "Host: a"), "no path"),
    "asterisk with GET": (head("GET * HTTP/1.1", "Host: a"), "OPTIONS only"),
    "user information": (head("GET http://me@a/ HTTP/1.1", "Host: a"), "target's host"),
    "empty authority": (head("GET http:///ws HTTP/1.1", "Host: a"), "target's host"),
    "no Host": (head("GET / HTTP/1.1"), "0 Host fields"),
    "two Hosts": (head("GET / HTTP/1.1", "Host: a", "host: a"), "2 Host fields"),
    "two Hosts in 1.0": (head("GET / HTTP/1.0", "Host: a", "host: a"), "2 Host fields"),
    "no Host beside absolute-form": (head("GET http://a/ HTTP/1.1"), "0 Host fields"),
    "empty Host": (head("GET / HTTP/1.1", "Host:"), "Host is no host"),
    "space in Host": (head("GET / HTTP/1.1", "Host: a b"), "Host is no host"),
    "path in Host": (head("GET / HTTP/1.1", "Host: a/b"), "Host is no host"),
    "user in Host": (head("GET / HTTP/1.1", "Host: me@a"), "Host is no host"),
    "letters as port": (head("GET / HTTP/1.1", "Host: a:http"), "Host is no host"),
    "IPv6 without brackets": (head("GET / HTTP/1.1", "Host: ::1"), "Host is no host"),
    "bad IPv6": (head("GET / HTTP/1.1", "Host: [::1::2]"), "Host is no host"),
}

# RFC 9112 §6: what two readers could frame in two ways.
FRAMINGS = {
    "two lengths": (with_fields("Content-Length: 1", "Content-Length: 1"), 400),
    "a list of lengths": (with_fields("Content-Length: 1, 1"), 400),
    "a signed length": (with_fields("Content-Length: +1"), 400),
    "a length with an underscore": (with_fields("Content-Length: 1_0"), 400),
    "no digits": (with_fields("Content-Length: \xb2"), 400),
    "an empty length": (with_fields("Content-Length:"), 400),
    "a huge length": (with_fields(f"Content-Length: {'9' * 5000}"), 400),
    "both": (with_fields("Content-Length: 1", "Transfer-Encoding: chunked"), 400),
    "chunked in 1.0": (with_fields("Transfer-Encoding: chunked", version="1.0"), 400),
    "gzip, chunked": (with_fields("Transfer-Encoding: gzip, chunked"), 501),
    "identity": (with_fields("Transfer-Encoding: identity"), 501),
    "xchunked": (with_fields("Transfer-Encoding: xchunked"), 501),
    "an empty coding": (with_fields("Transfer-Encoding:"), 501),
    "chunked twice": (with_fields("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 501),
}


@pytest.mark.parametrize(("raw", "status", "detail"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_head_is_refused_by_the_check_it_fails(
    raw: bytes, status: int, detail: str
) -> None:
    error = refusal(raw)
    assert error.status == status
    assert detail in error.detail


@pytest.mark.parametrize(("raw", "detail"), TARGETS.values(), ids=TARGETS)
def test_a_target_or_host_that_is_none_is_refused(raw: bytes, detail: str) -> None:
    error = refusal(raw)
    assert error.status == 400
    assert detail in error.detail


@pytest.mark.parametrize(("raw", "status"), FRAMINGS.values(), ids=FRAMINGS)
def test_an_ambiguous_body_length_is_refused(raw: bytes, status: int) -> None:
    assert refusal(raw).status == status


@pytest.mark.parametrize(
    "host", ["a", "a.example:80", "a:", "127.0.0.1:1", "[::1]", "[::ffff:1.2.3.4]:443", "a%2D_~"]
)
def test_a_host_as_rfc_3986_has_it_is_accepted(host: str) -> None:
    assert parse_request_head(head("GET / HTTP/1.1", f"Host: {host}")).headers.get("host") == host


@pytest.mark.parametrize(
    ("line", "target", "host"),
    [
        ("GET http://b:81/ws?x=1 HTTP/1.1", "/ws?x=1", "b:81"),
        ("GET HTTPS://b HTTP/1.1", "/", "b"),
        ("GET http://b?x HTTP/1.1", "/?x", "b"),
        ("OPTIONS http://b HTTP/1.1", "*", "b"),
        ("OPTIONS * HTTP/1.1", "*", "a"),
        ("GET //b/c HTTP/1.1", "//b/c", "a"),
    ],
)
def test_the_target_comes_in_origin_form_and_an_authority_replaces_host(
    line: str, target: str, host: str
) -> None:
    parsed = parse_request_head(head(line, "Accept: */*", "Host: a"))
    assert parsed.target == target
    assert parsed.headers.get_all("host") == [host]


def test_http_1_0_needs_no_host() -> None:
    assert parse_request_head(head("GET / HTTP/1.0")) == RequestHead("GET", "/", "1.0", Headers())


def test_the_end_of_a_head_is_found_once_it_is_there_and_not_before() -> None:
    raw = head("GET / HTTP/1.1", "Host: a")
    assert [find_head_end(raw[:size]) for size in range(len(raw))] == [-1] * len(raw)
    assert {find_head_end(raw, seen=size) for size in range(len(raw))} == {len(raw)}
    assert find_head_end(raw + b"GET /next") == len(raw)
    assert find_head_end(bytearray(raw + raw), len(raw)) == 2 * len(raw)


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\nHost: a\n\n", b"\n", b"\x16\x03\x01\x02\x00\x01", b" GET /"]
)
def test_nobody_waits_for_the_end_of_what_can_never_be_a_head(start: bytes) -> None:
    with pytest.raises(HeadError):
        find_head_end(start)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("HTTP/1.1 101 Switching Protocols", 101, "Switching Protocols"),
        ("HTTP/1.1 200 ", 200, ""),
        ("HTTP/1.0 200", 200, ""),
        ("HTTP/1.1 999 R\xe4tsel", 999, "R\xe4tsel"),
    ],
)
def test_a_status_line_may_do_without_its_reason(line: str, status: int, reason: str) -> None:
    parsed = parse_response_head(head(line, "Server: x"))
    assert (parsed.status, parsed.reason) == (status, reason)
    assert parsed.headers == Headers([("Server", "x")])


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (head("HTTP/2 200 OK"), "status line"),
        (head("HTTP/1.1 20 OK"), "status line"),
        (head("HTTP/1.1 099 OK"), "status line"),
        (head("HTTP/1.1 200OK"), "status line"),
        (head("SSH-2.0-OpenSSH"), "status line"),
        (head("HTTP/1.1 200 OK", "X: b", " c"), "white space"),
        (head("HTTP/1.1 200 OK", "X : b"), "before a colon"),
        (b"HTTP/1.1 200 OK\nX: b\r\n\r\n", "bare LF"),
    ],
)
def test_a_backends_malformed_head_is_a_bad_gateway(raw: bytes, detail: str) -> None:
    with pytest.raises(HeadError) as caught:
        parse_response_head(raw)
    assert caught.value.status == 502
    assert detail in caught.value.detail


@pytest.mark.parametrize(
    ("method", "target"), [("G T", "/"), ("GET", "/ HTTP/1.1\r\nX: y"), ("GET", "")]
)
def test_a_request_line_that_would_split_is_not_sent(method: str, target: str) -> None:
    with pytest.raises(ValueError, match="request line"):
        encode_request_head(method, target, Headers())


def test_a_target_that_is_not_sent_is_not_shown_either() -> None:
    with pytest.raises(ValueError, match="request line") as caught:
        encode_request_head("GET", "/\xfc?token=hunter2", Headers())
    assert "hunter2" not in str(caught.value)


def test_an_unregistered_status_has_no_reason() -> None:
    assert encode_response_head(799, Headers([("A", "b")])) == b"HTTP/1.1 799 \r\nA: b\r\n\r\n"
    assert encode_response_head(200, Headers(), "1.0") == b"HTTP/1.0 200 OK\r\n\r\n"


# -- properties ------------------------------------------------------------------------------

TOKENS = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
    | st.just("\t"),
    max_size=20,
).map(
    lambda value: "".join(c for c in value if c == "\t" or not 0x7F <= ord(c) < 0x80).strip(" \t")
)
FIELDS = st.lists(
    st.tuples(
        TOKENS.filter(
            lambda name: name.lower() not in ("host", "content-length", "transfer-encoding")
        ),
        VALUES,
    ),
    max_size=6,
).map(Headers)
PATHS = st.text("/abz09-._~!$&'()*+,;=:@?|\"<>", max_size=20).map(lambda rest: f"/{rest}")


@given(TOKENS, PATHS, FIELDS)
def test_a_request_head_survives_being_sent(method: str, target: str, headers: Headers) -> None:
    headers.add("Host", "a.example:80")
    parsed = parse_request_head(encode_request_head(method, target, headers))
    assert parsed == RequestHead(method, target, "1.1", headers)


@given(st.integers(100, 999), FIELDS)
def test_a_response_head_survives_being_sent(status: int, headers: Headers) -> None:
    parsed = parse_response_head(encode_response_head(status, headers))
    assert parsed == ResponseHead(status, parsed.reason, "1.1", headers)


def by_h11(raw: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


LINE_ENDS = st.sampled_from(["\r\n"] * 12 + ["\n", "\r", "\r\n\r\n"])
REQUEST_LINES = st.one_of(
    st.builds("{} {} HTTP/{}".format, TOKENS, PATHS, st.sampled_from(["1.1", "1.0", "1.2"])),
    st.sampled_from(["GET  / HTTP/1.1", "OPTIONS * HTTP/1.1", "GET http://b/ HTTP/1.1", "GET /"]),
)
FIELD_LINES = st.one_of(
    st.builds("{}:{}".format, TOKENS, VALUES),
    st.sampled_from(
        [
            *["Host: a", "host: b", "Content-Length: 1", "Content-Length: 1,1"],
            *["content-length: 02", "Transfer-Encoding: chunked", "Transfer-Encoding: x"],
            *[" folded", "X : y", "X:\x0by"],
        ]
    ),
)


@st.composite
def nearly_heads(draw: st.DrawFn) -> bytes:
    lines = [draw(REQUEST_LINES), "Host: a", *draw(st.lists(FIELD_LINES, max_size=4)), ""]
    return "".join(line + draw(LINE_ENDS) for line in lines).encode("latin-1")


def assert_h11_agrees(raw: bytes) -> None:
    try:
        ours = parse_request_head(raw)
    except HeadError:
        assume(False)
    theirs = by_h11(raw)
    assert theirs is not None, "easews accepts what h11 refuses"
    assert ours.method.encode() == theirs.method
    assert ours.version.encode() == theirs.http_version
    if theirs.target[:1] in b"/*":  # absolute-form is rewritten here, and with it Host
        assert ours.target.encode() == theirs.target
        assert [
            (name.encode(), b"chunked" if name == "transfer-encoding" else value.encode("latin-1"))
            for name, _, value in ours.headers.triples
        ] == list(theirs.headers)


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # most are refused, and no question
@given(nearly_heads())
def test_what_easews_accepts_h11_reads_in_the_same_way(raw: bytes) -> None:
    assert_h11_agrees(raw)


# What makes an expression that backtracks into its parts try every way of dividing the input.
DIVISIBLE: dict[str, Callable[[int], bytes]] = {
    "fields without an end": lambda size: b"GET / HTTP/1.1" + b"\r\na:b" * (size // 5) + b"\r\n\r",
    "one long field name": lambda size: b"GET / HTTP/1.1\r\n" + b"a" * size + b"\r\n\r\n",
    "one long value": lambda size: b"GET / HTTP/1.1\r\na:" + b" " * size + b"\0\r\n\r\n",
    "one long host": lambda size: head("GET / HTTP/1.1", f"Host: {'a%41' * (size // 4)}/"),
    "one long target": lambda size: b"GET /" + b"a" * size + b"\0 HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("made", DIVISIBLE.values(), ids=DIVISIBLE.keys())
def test_a_head_is_refused_in_a_time_that_grows_with_its_length_alone(
    made: Callable[[int], bytes],
) -> None:
    def seconds(raw: bytes) -> float:
        start = time.process_time()
        for _ in range(20):
            refusal(raw)
        return time.process_time() - start

    seconds(made(4000))
    # Linear is 16 times as long; even quadratic would be 256 times.
    assert seconds(made(64_000)) < 100 * max(seconds(made(4000)), 1e-3)


WHOLE = head("GET /ws?a=%41 HTTP/1.1", "Host: a:80", "Content-Length: 10", "X-Y: a, b")


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 2), st.binary(max_size=3))
def test_a_damaged_head_is_refused_or_read_as_h11_reads_it(
    offset: int, cut: int, inserted: bytes
) -> None:
    assert_h11_agrees(WHOLE[:offset] + inserted + WHOLE[offset + cut :])


ANSWER = head("HTTP/1.1 200 OK at last", "Content-Length: 10", "X-Y: a, b", "Empty:")


def response_by_h11(raw: bytes) -> h11.Response | h11.InformationalResponse | None:
    connection = h11.Connection(h11.CLIENT)
    upgrade = [("Host", "a"), ("Connection", "Upgrade"), ("Upgrade", "x")]  # so 101 is expected
    connection.send(h11.Request(method="GET", target="/", headers=upgrade))
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Response | h11.InformationalResponse) else None


@given(st.integers(0, len(ANSWER) - 1), st.integers(0, 2), st.binary(max_size=3))
def test_a_damaged_answer_is_refused_or_read_as_h11_reads_it(
    offset: int, cut: int, inserted: bytes
) -> None:
    raw = ANSWER[:offset] + inserted + ANSWER[offset + cut :]
    try:
        ours = parse_response_head(raw)
        response_framing(ours, "GET")
    except HeadError:
        return
    theirs = response_by_h11(raw)
    assert theirs is not None, "easews accepts what h11 refuses"
    assert (ours.status, ours.version.encode()) == (theirs.status_code, theirs.http_version)
    assert ours.reason.encode("latin-1") == theirs.reason
    fields = [(name.encode(), value.encode("latin-1")) for name, _, value in ours.headers.triples]
    assert fields == list(theirs.headers)
