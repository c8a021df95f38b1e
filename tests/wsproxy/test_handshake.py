"""The two handshakes as values: what is refused, what goes on, what comes back."""

from __future__ import annotations

import pytest

from easews import Headers, Request
from easews_wsproxy.handshake.rules import (
    accept_for,
    backend_request,
    check_answer,
    check_request,
    client_answer,
    deflate_agreed,
    new_key,
)

# The key of RFC 6455 §1.3, and its answer.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
DEFLATE = "permessage-deflate"

CLIENT = {
    "Host": "gateway.example",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
BACKEND = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Accept": ACCEPT}


def changed(fields: dict[str, str], *changes: tuple[str, str | None]) -> Headers:
    """`fields` with some set to another value, added, or taken out (None)."""
    headers = Headers(fields.items())
    for name, value in changes:
        if value is None:
            headers.remove(name)
        else:
            headers.set(name, value)
    return headers


def asked(*changes: tuple[str, str | None], method: str = "GET", version: str = "1.1") -> Request:
    return Request(method, "/chat", changed(CLIENT, *changes), version=version)


# What a client sends


def test_a_right_handshake_is_not_refused() -> None:
    assert check_request(asked()) is None


@pytest.mark.parametrize(
    "fine",
    [
        asked(("Upgrade", "WebSocket")),
        asked(("Upgrade", "h2c, websocket")),
        asked(("Connection", "UPGRADE")),
        asked(("Content-Length", "0")),
        asked(("Content-Length", "000")),
    ],
    ids=["any case", "one of several", "shouting", "no body", "no body, in three digits"],
)
def test_what_rfc_6455_allows_is_not_refused(fine: Request) -> None:
    assert check_request(fine) is None


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        "your-key-here",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZSEh",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ== ",
        "d\xe9hlIHNhbXBsZSBub25jZQ==",
    ],
    ids=["none", "empty", "words", "unpadded", "15", "18", "list", "space", "not ASCII"],
)
def test_a_key_that_is_not_16_bytes_in_base64_gets_400_and_help(key: str | None) -> None:
    refusal = check_request(asked(("Sec-WebSocket-Key", key)))

    assert refusal is not None
    assert (refusal.status, refusal.result) == (400, "clientError")
    assert "openssl rand -base64 16" in refusal.detail


def test_two_keys_get_400() -> None:
    request = asked()
    request.headers.add("Sec-WebSocket-Key", KEY)

    refusal = check_request(request)

    assert refusal is not None
    assert (refusal.status, refusal.result) == (400, "clientError")


@pytest.mark.parametrize("version", [None, "", "8", "013", "13, 8", "14"])
def test_a_version_other_than_13_gets_426_with_what_would_do(version: str | None) -> None:
    refusal = check_request(asked(("Sec-WebSocket-Version", version)))

    assert refusal is not None
    assert (refusal.status, refusal.result) == (426, "clientError")
    assert dict(refusal.headers) == {
        "Sec-WebSocket-Version": "13",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
    }


def test_two_versions_get_426() -> None:
    request = asked()
    request.headers.add("Sec-WebSocket-Version", "13")

    refusal = check_request(request)

    assert refusal is not None
    assert (refusal.status, refusal.result) == (426, "clientError")


@pytest.mark.parametrize("method", ["POST", "HEAD", "CONNECT", "get"])
def test_a_method_other_than_get_gets_405_with_allow(method: str) -> None:
    refusal = check_request(asked(method=method))

    assert refusal is not None
    assert (refusal.status, refusal.result) == (405, "clientError")
    assert refusal.headers == (("Allow", "GET"),)


def test_http_1_0_gets_426() -> None:
    refusal = check_request(asked(version="1.0"))

    assert refusal is not None
    assert (refusal.status, refusal.result) == (426, "clientError")
    assert ("Upgrade", "websocket") in refusal.headers


@pytest.mark.parametrize(
    "field", [("Content-Length", "5"), ("Content-Length", "10"), ("Transfer-Encoding", "chunked")]
)
def test_a_body_with_the_handshake_gets_400(field: tuple[str, str]) -> None:
    refusal = check_request(asked(field))

    assert refusal is not None
    assert (refusal.status, refusal.result) == (400, "clientError")
    assert "body" in refusal.detail


@pytest.mark.parametrize(
    "request_",
    [
        asked(("Upgrade", "h2c")),
        asked(("Upgrade", "foo")),
        asked(("Upgrade", "websockets")),
        asked(("Upgrade", None)),
        asked(("Connection", "keep-alive")),
        asked(("Connection", None)),
        Request("GET", "/", Headers([("Host", "gateway.example")])),
        Request("POST", "/", Headers([("Host", "gateway.example"), ("Content-Length", "5")])),
    ],
    ids=["h2c", "foo", "plural", "none", "keep-alive", "no Connection", "plain GET", "plain POST"],
)
def test_what_asks_for_no_websocket_is_the_flows_to_route(request_: Request) -> None:
    refusal = check_request(request_)

    assert refusal is not None
    assert (refusal.status, refusal.result) == (426, "notWebSocket")
    assert refusal.headers == (("Connection", "Upgrade"), ("Upgrade", "websocket"))


# What the backend is asked


def onward(request: Request, host: str = "", default_origin: str = "") -> Headers:
    return backend_request(
        request,
        host=host,
        key=KEY,
        default_origin=default_origin,
        headers=request.headers,
    )


def test_the_backend_gets_a_handshake_of_our_own() -> None:
    request = asked(("Sec-WebSocket-Key", new_key()), ("Sec-WebSocket-Accept", "x"))

    headers = onward(request)

    assert headers.get_all("sec-websocket-key") == [KEY]
    assert headers.get_all("sec-websocket-version") == ["13"]
    assert headers.get_all("connection") == ["Upgrade"]
    assert headers.get_all("upgrade") == ["websocket"]
    assert "sec-websocket-accept" not in headers
    assert check_request(Request("GET", "/", headers)) is None


def test_every_key_is_a_fresh_one() -> None:
    keys = {new_key() for _ in range(64)}

    assert len(keys) == 64
    assert all(check_request(asked(("Sec-WebSocket-Key", key))) is None for key in keys)


def test_host_is_the_servers_or_else_the_clients_and_comes_first() -> None:
    named = onward(asked(), host="backend.example")
    kept = onward(asked())

    assert next(iter(named)) == ("Host", "backend.example")
    assert next(iter(kept)) == ("Host", "gateway.example")
    assert named.get_all("host") == ["backend.example"]


def test_headers_go_on_in_their_order_and_repeated_ones_stay_so() -> None:
    request = asked()
    for field in (("Cookie", "a=1"), ("X-B", "1"), ("cookie", "b=2"), ("X-A", ""), ("X-B", "2")):
        request.headers.add(*field)

    sent = [field for field in onward(request) if field[0].lower() in ("cookie", "x-a", "x-b")]

    assert sent == [("Cookie", "a=1"), ("X-B", "1"), ("cookie", "b=2"), ("X-A", ""), ("X-B", "2")]


def test_what_is_meant_for_one_hop_stays_here() -> None:
    hop = ["Keep-Alive", "TE", "Trailer", "Proxy-Authorization", "Proxy-Connection", "X-Named"]
    request = asked(("Connection", "Upgrade, x-named, TE"), *((name, "1") for name in hop))

    headers = onward(request)

    assert not [name for name in hop if name in headers]


def test_subprotocols_go_on_as_they_were_offered() -> None:
    request = asked(("Sec-WebSocket-Protocol", "chat.v2, chat.v1"))
    request.headers.add("Sec-WebSocket-Protocol", "Plain")

    assert onward(request).get_all("sec-websocket-protocol") == ["chat.v2, chat.v1", "Plain"]


@pytest.mark.parametrize(
    ("offer", "sent"),
    [
        (DEFLATE, [DEFLATE]),
        (f"x-webkit-deflate-frame, {DEFLATE}; client_max_window_bits, bbf", None),
        ("foo, bar; x=1", []),
        ("", []),
    ],
)
def test_of_the_extensions_only_permessage_deflate_goes_on(
    offer: str, sent: list[str] | None
) -> None:
    headers = onward(asked(("Sec-WebSocket-Extensions", offer)))

    expected = [f"{DEFLATE}; client_max_window_bits"] if sent is None else sent
    assert headers.get_all("sec-websocket-extensions") == expected


def test_the_default_origin_is_for_clients_that_sent_none() -> None:
    own = asked(("Origin", "https://page.example"))

    assert onward(own, default_origin="http://default/").get_all("origin") == [
        "https://page.example"
    ]
    assert onward(asked(), default_origin="http://default/").get_all("origin") == [
        "http://default/"
    ]
    assert "origin" not in onward(asked())


# What the backend answers


def judged(*changes: tuple[str, str | None], status: int = 101) -> str | None:
    """The verdict on an answer to a client that offered subprotocols a, b and compression."""
    return check_answer(
        status,
        changed(BACKEND, *changes),
        key=KEY,
        offer=Headers(
            [
                ("Sec-WebSocket-Protocol", "a, b"),
                ("Sec-WebSocket-Extensions", f"{DEFLATE}; client_max_window_bits"),
            ]
        ),
    )


def test_the_accept_is_that_of_rfc_6455() -> None:
    assert accept_for(KEY) == ACCEPT


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (("Upgrade", "WebSocket"), ("Connection", "keep-alive, upgrade")),
        (("Sec-WebSocket-Protocol", "b"),),
        (("Sec-WebSocket-Extensions", f"{DEFLATE}; client_max_window_bits=12"),),
    ],
    ids=["bare", "other case", "subprotocol", "compression"],
)
def test_an_answer_within_the_offer_is_taken(changes: tuple[tuple[str, str], ...]) -> None:
    assert judged(*changes) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("Sec-WebSocket-Accept", None), "Accept"),
        (("Sec-WebSocket-Accept", accept_for(new_key())), "Accept"),
        (("Sec-WebSocket-Accept", ACCEPT.lower()), "Accept"),
        (("Sec-WebSocket-Accept", f"{ACCEPT}, {ACCEPT}"), "Accept"),
        (("Upgrade", None), "Upgrade"),
        (("Upgrade", "h2c"), "Upgrade"),
        (("Upgrade", "websocket, h2c"), "Upgrade"),
        (("Connection", None), "Connection"),
        (("Connection", "keep-alive"), "Connection"),
        (("Sec-WebSocket-Protocol", "c"), "Protocol"),
        (("Sec-WebSocket-Protocol", "A"), "Protocol"),
        (("Sec-WebSocket-Protocol", "a, b"), "Protocol"),
        (("Sec-WebSocket-Protocol", ""), "Protocol"),
        (("Sec-WebSocket-Extensions", "foo"), "Extensions"),
        (("Sec-WebSocket-Extensions", f"{DEFLATE}; server_max_window_bits=99"), DEFLATE),
    ],
)
def test_an_answer_that_is_none_to_our_handshake_is_refused_and_named(
    change: tuple[str, str | None], named: str
) -> None:
    verdict = judged(change)

    assert verdict is not None
    assert named in verdict


def test_an_accept_or_a_subprotocol_that_comes_twice_is_refused() -> None:
    for field in (("Sec-WebSocket-Accept", ACCEPT), ("Sec-WebSocket-Protocol", "a")):
        answer = changed(BACKEND, ("Sec-WebSocket-Protocol", "a"))
        answer.add(*field)
        offer = Headers([("Sec-WebSocket-Protocol", "a")])
        assert check_answer(101, answer, key=KEY, offer=offer), field


@pytest.mark.parametrize("status", [100, 103, 200, 204, 302, 401, 403, 404, 500])
def test_any_other_status_opens_no_session(status: int) -> None:
    assert judged(status=status) is not None


def test_rsv1_is_in_use_when_the_backend_agreed_to_compress() -> None:
    answer = changed(BACKEND, ("Sec-WebSocket-Extensions", f"{DEFLATE}; server_max_window_bits=9"))
    assert deflate_agreed(answer) == {"server_max_window_bits": "9"}
    assert deflate_agreed(changed(BACKEND, ("Sec-WebSocket-Extensions", DEFLATE))) == {}
    assert deflate_agreed(changed(BACKEND)) is None


def test_the_client_gets_the_answer_to_its_own_key_and_what_the_backend_agreed_to() -> None:
    client_key = new_key()
    deflate = f"{DEFLATE}; server_no_context_takeover"
    answer = changed(
        BACKEND, ("Sec-WebSocket-Protocol", "b"), ("Sec-WebSocket-Extensions", deflate)
    )

    headers = client_answer(answer, client_key)

    assert headers.get_all("sec-websocket-accept") == [accept_for(client_key)]
    assert headers.get_all("sec-websocket-protocol") == ["b"]
    assert headers.get_all("sec-websocket-extensions") == [deflate]
    assert "connection" not in headers  # what HTTP/1.1 needs to switch, the server adds
    assert "upgrade" not in headers


def test_the_client_gets_the_backends_end_to_end_headers_and_no_others() -> None:
    dropped = ["Keep-Alive", "X-Named", "Proxy-Authenticate", "Content-Length"]
    of_handshakes = ["Sec-WebSocket-Key", "Sec-WebSocket-Version"]
    answer = changed(BACKEND, *((name, "0") for name in dropped + of_handshakes))
    answer.set("Connection", "Upgrade, X-Named")
    kept = [("Set-Cookie", "a=1"), ("Server", "them"), ("Set-Cookie", "b=2")]
    for field in kept:
        answer.add(*field)

    headers = client_answer(answer, KEY)

    assert not [name for name in dropped + of_handshakes if name in headers]
    assert list(headers)[-3:] == kept


def test_fields_are_spelled_as_the_rfc_does() -> None:
    """Some servers and clients compare names as they are written."""
    offered = asked(("Sec-WebSocket-Extensions", f"{DEFLATE}, {DEFLATE}; client_max_window_bits"))
    onward = backend_request(
        offered,
        host="b.example",
        key=KEY,
        default_origin="http://gateway.example",
        headers=offered.headers,
    )
    assert list(onward) == [
        ("Host", "b.example"),
        ("Origin", "http://gateway.example"),
        ("Sec-WebSocket-Extensions", f"{DEFLATE}, {DEFLATE}; client_max_window_bits"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ]
    answer = changed(
        BACKEND, ("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Extensions", DEFLATE)
    )
    assert list(client_answer(answer, KEY)) == [
        ("Sec-WebSocket-Accept", ACCEPT),
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", DEFLATE),
    ]


def test_the_only_protocol_that_was_offered_may_be_agreed_to() -> None:
    answer = changed(BACKEND, ("Sec-WebSocket-Protocol", "chat"))
    for offered, fits in (["chat"], True), (["chat", "other"], True), (["other"], False):
        offer = Headers([("Sec-WebSocket-Protocol", ", ".join(offered))])
        fault = check_answer(101, answer, key=KEY, offer=offer)
        assert (fault is None) is fits
