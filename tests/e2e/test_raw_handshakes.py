"""Every row of the two handshake tables of docs/reference/behaviour.md, on raw sockets."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable

import pytest
from tests.e2e import raw
from tests.e2e.gateway import Gateway
from tests.e2e.raw import HANDSHAKE, KEY, Fields, Head, Peer, RawBackend, frame, head


def without(name: str, *instead: tuple[str, str]) -> Fields:
    """The fields of a handshake, with others in place of one."""
    return (*(field for field in HANDSHAKE if field[0] != name), *instead)


def ask(client: Peer, line: str, fields: Fields, behind: bytes = b"") -> Head:
    client.send(head(line, (("Host", "example.test"), *fields)) + behind)
    return client.head()


# What the client sends


BAD_KEYS = {
    "no key": (),
    "two keys": (KEY, KEY),
    "no base64": ("your-key-here",),
    "15 bytes": ("AAAAAAAAAAAAAAAAAAAA",),
    "17 bytes": ("AAAAAAAAAAAAAAAAAAAAAAA=",),
}


@pytest.mark.parametrize("keys", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_bad_key_is_told_how_to_make_a_good_one(
    client: Peer, raw_backend: RawBackend, keys: tuple[str, ...]
) -> None:
    fields = without("Sec-WebSocket-Key", *(("Sec-WebSocket-Key", key) for key in keys))
    answer = ask(client, "GET /raw HTTP/1.1", fields)
    assert answer.status == 400
    assert b"base64 of 16 random bytes" in client.rest()
    assert not raw_backend.was_reached()


@pytest.mark.parametrize("versions", [(), ("8",), ("12",), ("13", "13")], ids=repr)
def test_another_version_is_told_ours(
    client: Peer, raw_backend: RawBackend, versions: tuple[str, ...]
) -> None:
    fields = (("Sec-WebSocket-Version", version) for version in versions)
    answer = ask(client, "GET /raw HTTP/1.1", without("Sec-WebSocket-Version", *fields))
    assert answer.status == 426
    assert answer["Sec-WebSocket-Version"] == "13"
    assert answer["Upgrade"] == "websocket"
    assert "upgrade" in answer["Connection"].lower().split(", ")
    assert not raw_backend.was_reached()


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS"])
def test_only_get_opens_a_session(client: Peer, raw_backend: RawBackend, method: str) -> None:
    answer = ask(client, f"{method} /raw HTTP/1.1", HANDSHAKE)
    assert (answer.status, answer["Allow"]) == (405, "GET")
    assert not raw_backend.was_reached()


def test_an_upgrade_in_http_1_0_is_ignored(client: Peer, raw_backend: RawBackend) -> None:
    answer = ask(client, "GET /raw HTTP/1.0", HANDSHAKE)
    assert (answer.status, answer["Upgrade"]) == (426, "websocket")
    assert not raw_backend.was_reached()


BODIES = {
    "length": ((("Content-Length", "5"),), b"hello"),
    "chunked": ((("Transfer-Encoding", "chunked"),), b"5\r\nhello\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize(("fields", "body"), BODIES.values(), ids=BODIES)
def test_a_handshake_with_a_body_is_refused(
    client: Peer, raw_backend: RawBackend, fields: Fields, body: bytes
) -> None:
    answer = ask(client, "GET /raw HTTP/1.1", (*HANDSHAKE, *fields), body)
    assert answer.status == 400
    assert not raw_backend.was_reached()


NO_WEBSOCKET: dict[str, Fields] = {
    "plain": (),
    "h2c": (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "")),
    "foo": without("Upgrade", ("Upgrade", "foo")),
    "no connection": without("Connection"),
    "other connection": without("Connection", ("Connection", "keep-alive")),
    "no upgrade": without("Upgrade"),
}


@pytest.mark.parametrize("fields", NO_WEBSOCKET.values(), ids=NO_WEBSOCKET)
def test_what_is_no_websocket_is_never_forwarded_as_an_upgrade(
    client: Peer, raw_backend: RawBackend, fields: Fields
) -> None:
    answer = ask(client, "GET /raw HTTP/1.1", fields)
    assert (answer.status, answer["Upgrade"]) == (426, "websocket")
    assert not raw_backend.was_reached()


@pytest.mark.parametrize("fields", NO_WEBSOCKET.values(), ids=NO_WEBSOCKET)
def test_a_flow_may_send_what_is_no_websocket_elsewhere(client: Peer, fields: Fields) -> None:
    # The flow ends there, without an answer.
    assert ask(client, "GET /routed HTTP/1.1", fields).status == 503


PASSING_ORIGINS = [
    ("/raw", ()),
    ("/raw", ("http://example.test",)),
    ("/raw", ("https://EXAMPLE.test:443",)),
    ("/friends", ("https://chat.friends.test",)),
    ("/friends", ("null",)),
    ("/anyone", ("https://evil.test",)),
]


@pytest.mark.parametrize(("path", "origins"), PASSING_ORIGINS)
def test_an_origin_that_may_pass_reaches_the_backend_as_sent(
    client: Peer, raw_backend: RawBackend, path: str, origins: tuple[str, ...]
) -> None:
    client.send(raw.handshake(path, *(("Origin", origin) for origin in origins)))
    _, request = raw_backend.accept_session()
    assert request.all("Origin") == list(origins)
    assert client.head().status == 101


REFUSED_ORIGINS = [
    ("/raw", "http://evil.test"),
    ("/raw", "http://example.test.evil.test"),
    ("/raw", "http://example.test:8080"),
    ("/raw", "null"),
    ("/friends", "https://friends.test.evil.test"),
]


@pytest.mark.parametrize(("path", "origin"), REFUSED_ORIGINS)
def test_a_foreign_origin_is_refused(
    client: Peer, raw_backend: RawBackend, path: str, origin: str
) -> None:
    answer = ask(client, f"GET {path} HTTP/1.1", (*HANDSHAKE, ("Origin", origin)))
    assert answer.status == 403
    assert not raw_backend.was_reached()


@pytest.mark.parametrize("size", [5, 1 << 20])
def test_frames_right_behind_the_handshake_are_delivered_after_it(
    client: Peer, raw_backend: RawBackend, size: int
) -> None:
    client.send(raw.handshake("/raw") + frame(raw.BINARY, b"early"))
    backend = raw_backend.accept()
    request = backend.head()
    client.sock.setblocking(False)
    rest = frame(raw.BINARY, bytes(size))
    sent = client.sock.send(rest)
    backend.send(raw.answer_101(request))
    client.sock.settimeout(raw.PATIENCE)
    client.send(rest[sent:])
    assert client.head().status == 101
    assert backend.frame().payload == b"early"
    assert backend.frame().payload == bytes(size)


def test_frames_right_behind_a_refused_handshake_are_dropped(
    client: Peer, raw_backend: RawBackend
) -> None:
    client.send(raw.handshake("/raw") + frame(raw.TEXT, b"early"))
    backend = raw_backend.accept()
    backend.head()
    backend.send(head("HTTP/1.1 403 Forbidden", [("Content-Length", "0")]))
    assert client.head().status == 403
    assert backend.rest() == b""
    assert client.rest() == b""


def test_a_client_that_leaves_while_we_dial_cancels_the_dial(
    client: Peer, raw_backend: RawBackend
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.head()
    client.close()
    assert backend.rest() == b""


def test_a_connection_that_saw_an_upgrade_attempt_is_not_used_again(client: Peer) -> None:
    refused = raw.handshake("/raw", fields=without("Sec-WebSocket-Key"))
    client.send(refused + head("GET /nothing HTTP/1.1", [("Host", "example.test")]))
    assert client.head().status == 400
    assert b"HTTP/1.1" not in client.rest()


# What the backend answers


def test_the_backends_answer_reaches_the_client(client: Peer, raw_backend: RawBackend) -> None:
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-custom")
    client.send(raw.handshake("/raw", ("Sec-WebSocket-Protocol", "chat, superchat"), offer))
    _, request = raw_backend.accept_session(
        ("Sec-WebSocket-Protocol", "superchat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=12"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Backend", "seven"),
        ("Keep-Alive", "timeout=5"),
    )
    assert request["Sec-WebSocket-Protocol"] == "chat, superchat"
    assert request["Sec-WebSocket-Extensions"] == "permessage-deflate; client_max_window_bits"
    answer = client.head()
    assert answer.status == 101
    assert answer["Sec-WebSocket-Accept"] == raw.ACCEPT
    assert answer["Sec-WebSocket-Protocol"] == "superchat"
    assert answer["Sec-WebSocket-Extensions"] == "permessage-deflate; client_max_window_bits=12"
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert (answer["X-Backend"], answer.all("Keep-Alive")) == ("seven", [])


def test_a_late_body_of_a_refusal_comes_behind_its_head(
    client: Peer, raw_backend: RawBackend
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.head()
    backend.send(head("HTTP/1.1 401 Unauthorized", [("Content-Length", "4")]))
    answer = client.head()
    assert (answer.status, answer["Content-Length"]) == (401, "4")
    backend.send(b"late")
    assert client.rest() == b"late"


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset])
def test_a_client_that_leaves_a_refusal_takes_its_backends_connection_along(
    client: Peer, raw_backend: RawBackend, gateway: Gateway, leave: Callable[[Peer], None]
) -> None:
    target = f"/raw/{leave.__name__}"
    client.send(raw.handshake(target))
    backend = raw_backend.accept()
    backend.head()
    backend.send(head("HTTP/1.1 401 Unauthorized", [("WWW-Authenticate", "Basic")]))
    assert client.head()["WWW-Authenticate"] == "Basic"
    leave(client)
    assert backend.rest() == b""
    gateway.log.wait_for(target, '"status": 499')


CONFLICTING: dict[str, Fields] = {
    "two lengths": (("Content-Length", "1"), ("Content-Length", "2")),
    "length and coding": (("Content-Length", "1"), ("Transfer-Encoding", "chunked")),
    "two codings": (("Transfer-Encoding", "gzip"), ("Transfer-Encoding", "chunked")),
}


@pytest.mark.parametrize("fields", CONFLICTING.values(), ids=CONFLICTING)
def test_framing_is_not_judged_where_there_is_no_body(
    client: Peer, raw_backend: RawBackend, fields: Fields
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    request = backend.head()
    backend.send(head("HTTP/1.1 103 Early Hints", fields) + raw.answer_101(request, *fields))
    answer = client.head()
    assert answer.status == 101
    assert answer.all("Content-Length") == answer.all("Transfer-Encoding") == []


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("fields", CONFLICTING.values(), ids=CONFLICTING)
def test_an_answer_without_a_body_is_passed_on_without_a_doubtful_length(
    client: Peer, raw_backend: RawBackend, fields: Fields, status: int
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.head()
    backend.send(head(f"HTTP/1.1 {status} As it is", fields))
    answer = client.head()
    assert answer.status == status
    assert answer.all("Content-Length") == answer.all("Transfer-Encoding") == []
    assert client.rest() == b""


def test_a_426_of_the_backend_says_what_to_upgrade_to(
    client: Peer, raw_backend: RawBackend
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.head()
    fields = [("Connection", "Upgrade"), ("Upgrade", "chat/2"), ("Content-Length", "0")]
    backend.send(head("HTTP/1.1 426 Upgrade Required", fields))
    answer = client.head()
    assert (answer.status, answer["Upgrade"]) == (426, "chat/2")
    assert answer["Connection"].split(", ") == ["Upgrade", "close"]


def answer_with(request: Head, **changed: str) -> bytes:
    """A 101 with some of its fields changed or, by an empty value, taken out."""
    fields = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Accept": raw.accept_for(request["sec-websocket-key"]),
        **changed,
    }
    lines = [(name.replace("_", "-"), value) for name, value in fields.items() if value]
    return head("HTTP/1.1 101 Switching Protocols", lines)


WRONG_ANSWERS = {
    "wrong accept": {"Sec_WebSocket_Accept": raw.ACCEPT},
    "no accept": {"Sec_WebSocket_Accept": ""},
    "other upgrade": {"Upgrade": "h2c"},
    "no upgrade": {"Upgrade": ""},
    "no connection": {"Connection": ""},
    "subprotocol": {"Sec_WebSocket_Protocol": "chat"},
    "extension": {"Sec_WebSocket_Extensions": "permessage-deflate"},
}


@pytest.mark.parametrize("changed", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_a_101_that_does_not_fit_is_a_502(
    client: Peer, raw_backend: RawBackend, changed: dict[str, str]
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.send(answer_with(backend.head(), **changed))
    assert client.head().status == 502
    assert backend.rest() == b""


ANSWERS = {
    401: ("WWW-Authenticate", 'Bearer realm="chat"'),
    403: ("X-Reason", "closed today"),
    302: ("Location", "https://elsewhere.test/"),
    404: ("Content-Language", "en"),
    500: ("X-Trace", "7"),
    200: ("Content-Type", "text/html"),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_any_other_answer_is_passed_on(client: Peer, raw_backend: RawBackend, status: int) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.head()
    fields = [ANSWERS[status], ("Content-Length", "6"), ("Keep-Alive", "timeout=5")]
    backend.send(head(f"HTTP/1.1 {status} As it is", fields) + b"sorry\n")
    answer = client.head()
    assert (answer.status, answer[ANSWERS[status][0]]) == (status, ANSWERS[status][1])
    assert answer.all("Keep-Alive") == []
    assert client.rest() == b"sorry\n"


def test_the_body_of_a_refusal_is_streamed(client: Peer, raw_backend: RawBackend) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.head()
    backend.send(head("HTTP/1.1 403 Forbidden", [("Transfer-Encoding", "chunked")]))
    backend.send(b"5\r\nfirst\r\n")
    answer = client.head()
    assert answer["Transfer-Encoding"] == "chunked"
    assert client.receive(10) == b"5\r\nfirst\r\n"
    backend.send(b"6\r\nsecond\r\n0\r\n\r\n")
    assert client.rest() == b"6\r\nsecond\r\n0\r\n\r\n"


def test_a_refusal_that_ends_with_its_connection_is_passed_on(
    client: Peer, raw_backend: RawBackend
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.head()
    backend.send(head("HTTP/1.0 403 Forbidden", []) + b"sorry\n")
    backend.close()
    assert client.head().status == 403
    assert b"sorry\n" in client.rest()


def test_informational_answers_are_skipped(client: Peer, raw_backend: RawBackend) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    request = backend.head()
    hints = head("HTTP/1.1 103 Early Hints", [("Link", "</style.css>; rel=preload")])
    backend.send(head("HTTP/1.1 100 Continue", []) + hints + raw.answer_101(request))
    answer = client.head()
    assert (answer.status, answer.all("Link")) == (101, [])


def test_frames_right_behind_the_answer_are_delivered_behind_ours(
    client: Peer, raw_backend: RawBackend
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    greeting = frame(raw.TEXT, b"welcome", masked=False)
    backend.send(raw.answer_101(backend.head()) + greeting)
    assert client.head().status == 101
    assert client.frame().payload == b"welcome"


def test_a_server_that_refuses_is_a_502(client: Peer) -> None:
    client.send(raw.handshake("/down"))
    assert client.head().status == 502


def test_a_server_that_resets_is_passed_over_for_the_next(
    client: Peer, raw_backend: RawBackend
) -> None:
    client.send(raw.handshake("/twice"))
    for _ in range(2):
        server = raw_backend.accept()
        server.head()
        server.reset()
    assert client.head().status == 502


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101 Swi", b"220 smtp.test ESMTP\r\n\r\n"])
def test_a_server_that_talks_nonsense_or_hangs_up_is_a_502(
    client: Peer, raw_backend: RawBackend, said: bytes
) -> None:
    client.send(raw.handshake("/raw"))
    backend = raw_backend.accept()
    backend.head()
    backend.send(said)
    backend.close()
    assert client.head().status == 502


def test_no_answer_in_time_is_a_504(client: Peer, raw_backend: RawBackend) -> None:
    client.send(raw.handshake("/hurried"))
    backend = raw_backend.accept()
    backend.head()
    assert client.head().status == 504
    assert backend.rest() == b""


# The request to the backend


def test_path_and_query_are_kept_to_the_byte(client: Peer, raw_backend: RawBackend) -> None:
    client.send(raw.handshake("/based/%7Euser/a%2Fb?q=%20&token=a%26b"))
    _, request = raw_backend.accept_session()
    assert request.line == "GET /base/based/%7Euser/a%2Fb?q=%20&token=a%26b HTTP/1.1"


def test_headers_go_on_in_order_but_for_hop_by_hop_ones(
    client: Peer, raw_backend: RawBackend
) -> None:
    more: Fields = (
        ("X-Twice", "one"),
        ("Cookie", "a=1"),
        ("X-Twice", "two"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "Basic c2VjcmV0"),
        ("X-Named", "for this hop"),
    )
    fields = without("Connection", ("Connection", "Upgrade, X-Named"))
    client.send(raw.handshake("/raw", *more, fields=fields))
    _, request = raw_backend.accept_session()
    assert request.all("X-Twice") == ["one", "two"]
    assert (request["Host"], request["Cookie"]) == ("example.test", "a=1")
    for name in ("TE", "Proxy-Authorization", "X-Named"):
        assert request.all(name) == []
    key = request["Sec-WebSocket-Key"]
    assert key != KEY
    assert len(b64decode(key)) == 16


def test_the_backend_is_told_who_the_client_is(client: Peer, raw_backend: RawBackend) -> None:
    lies = (("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"))
    client.send(raw.handshake("/raw", *lies))
    _, request = raw_backend.accept_session()
    assert request["X-Forwarded-For"] == "127.0.0.1"
    assert request["X-Forwarded-Host"] == "example.test"
    assert request["X-Forwarded-Proto"] == "http"


# What garbage does


GARBAGE = {
    "unmasked": frame(raw.TEXT, b"hello", masked=False),
    "reserved opcode": frame(0x3, b"hello"),
    "reserved bit": b"\xc1\x80\0\0\0\0",
    "long ping": frame(raw.PING, bytes(126)),
    "fragmented ping": frame(raw.PING, b"", fin=False),
    "bare continuation": frame(0x0, b"hello"),
    "close of one byte": frame(raw.CLOSE, b"\x03"),
    "close with 1005": raw.close_frame(1005),
    "not minimal": b"\x82\xfe\x00\x05" + bytes(9),
    "noise": b"\xff" * 64,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_client_that_sends_garbage_is_closed_with_1002(
    client: Peer, raw_backend: RawBackend, garbage: bytes
) -> None:
    client.send(raw.handshake("/raw"))
    backend, _ = raw_backend.accept_session()
    assert client.head().status == 101
    client.send(garbage)
    assert backend.frame().close[0] == 1001
    backend.send(raw.close_frame(1001, masked=False))
    assert client.frame().close[0] == 1002


@pytest.mark.parametrize(
    "garbage", [frame(raw.TEXT, b"hello"), raw.close_frame(1006, masked=False)]
)
def test_a_backend_that_sends_garbage_is_closed_with_1002(
    client: Peer, raw_backend: RawBackend, garbage: bytes
) -> None:
    client.send(raw.handshake("/raw"))
    backend, _ = raw_backend.accept_session()
    assert client.head().status == 101
    backend.send(garbage)
    assert client.frame().close[0] == 1001
    client.send(raw.close_frame(1001))
    assert backend.frame().close[0] == 1002


# How a session ends


@pytest.mark.parametrize("code", [1000, 1001, 1014, 3000, 4999])
def test_a_close_passes_byte_exact_both_ways(
    client: Peer, raw_backend: RawBackend, code: int
) -> None:
    client.send(raw.handshake("/raw"))
    backend, _ = raw_backend.accept_session()
    client.head()
    client.send(raw.close_frame(code, "à bientôt"))
    assert backend.frame().close == (code, "à bientôt")
    backend.send(raw.close_frame(code, "à bientôt", masked=False))
    # RFC 6455 §7.1.1: a server ends its connection first.
    backend.close()
    assert client.frame().close == (code, "à bientôt")
    assert client.rest() == b""


def test_a_close_without_a_code_stays_one(client: Peer, raw_backend: RawBackend) -> None:
    client.send(raw.handshake("/raw"))
    backend, _ = raw_backend.accept_session()
    client.head()
    client.send(frame(raw.CLOSE))
    assert backend.frame().payload == b""
    backend.send(frame(raw.CLOSE, masked=False))
    assert client.frame().payload == b""


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset])
def test_a_lost_client_is_reported_to_the_backend(
    client: Peer, raw_backend: RawBackend, leave: object
) -> None:
    assert callable(leave)
    client.send(raw.handshake("/raw"))
    backend, _ = raw_backend.accept_session()
    client.head()
    leave(client)
    assert backend.frame().close == (1001, "the client was lost")


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset])
def test_a_lost_backend_is_reported_to_the_client(
    client: Peer, raw_backend: RawBackend, leave: object
) -> None:
    assert callable(leave)
    client.send(raw.handshake("/raw"))
    backend, _ = raw_backend.accept_session()
    client.head()
    leave(backend)
    assert client.frame().close == (1011, "the backend was lost")


def test_pings_and_pongs_are_the_two_ends_own(client: Peer, raw_backend: RawBackend) -> None:
    client.send(raw.handshake("/raw"))
    backend, _ = raw_backend.accept_session()
    client.head()
    client.send(frame(raw.PING, b"are you there?"))
    assert backend.frame() == (raw.PING, b"are you there?", True)
    backend.send(frame(raw.PONG, b"are you there?", masked=False))
    assert client.frame() == (raw.PONG, b"are you there?", True)


def test_the_gateway_has_lived_through_all_this(gateway: Gateway) -> None:
    assert gateway.process.poll() is None
