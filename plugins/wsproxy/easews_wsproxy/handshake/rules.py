"""The opening handshake, as rules over values (RFC 6455 §4). No I/O happens here.

    client                       easews                          backend
      │  GET, key A                │  GET, key B                    │
      │ ──────────────────────────▶│ ──────────────────────────────▶│
      │  check_request             │  backend_request, new_key      │
      │                            │                                │
      │  101, Accept for A         │  101, Accept for B             │
      │ ◀──────────────────────────│ ◀──────────────────────────────│
      │  client_answer             │  check_answer, deflate_agreed  │

Two handshakes, each with a key of its own: an answer proves that the backend has understood
this very request, so it is judged here before the client hears of it. Which pages may open a
session is `origin`'s concern, what compression may look like that of `extensions`.
"""

from __future__ import annotations

import os
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from hashlib import sha1

from easews import Headers, Request, end_to_end

from . import extensions

_KEY = "sec-websocket-key"
_VERSION = "sec-websocket-version"
_ACCEPT = "sec-websocket-accept"
_PROTOCOL = "sec-websocket-protocol"
_EXTENSIONS = "sec-websocket-extensions"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
# The same, as `Headers.parsed` takes it.
_UPGRADE_FIELDS = [("connection", "Connection", "Upgrade"), ("upgrade", "Upgrade", "websocket")]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client gets no session: the answer's status, headers and text, the filter's result."""

    status: int
    headers: tuple[tuple[str, str], ...]
    detail: str
    result: str


# RFC 9110 §15.5.22: a 426 names in Upgrade what is required, and §7.8: Connection names Upgrade.
_NOT_WEBSOCKET = Refusal(
    426,
    _UPGRADE,
    "this address speaks WebSocket only: send `Connection: Upgrade` and `Upgrade: websocket`",
    "notWebSocket",
)
_HTTP_1_0 = Refusal(
    426,
    _UPGRADE,
    "a WebSocket handshake needs HTTP/1.1: in HTTP/1.0 an Upgrade is ignored (RFC 9110 §7.8)",
    "clientError",
)
_NOT_GET = Refusal(
    405,
    (("Allow", "GET"),),
    "the method of a WebSocket handshake is GET (RFC 6455 §4.1)",
    "clientError",
)
_HAS_BODY = Refusal(
    400,
    (),
    "a WebSocket handshake has no body: send no Content-Length and no Transfer-Encoding",
    "clientError",
)
_WRONG_VERSION = Refusal(
    426,
    (("Sec-WebSocket-Version", "13"), *_UPGRADE),
    "send one `Sec-WebSocket-Version: 13`: there is no other version here (RFC 6455 §4.2.2)",
    "clientError",
)
_WRONG_KEY = Refusal(
    400,
    (),
    "send one Sec-WebSocket-Key, the base64 of 16 random bytes;"
    " `openssl rand -base64 16` makes one (RFC 6455 §4.1)",
    "clientError",
)


def check_request(request: Request) -> Refusal | None:
    """What is wrong with the client's handshake, or None; Origin is checked apart.

    The result `notWebSocket` means that no WebSocket was asked for at all: nothing is wrong
    with such a request, and the flow may send it elsewhere.
    """
    headers, found = request.headers, request.headers.by_name
    upgrade, connection = headers.tokens("upgrade"), headers.tokens("connection")
    if "websocket" not in upgrade or "upgrade" not in connection:
        return _NOT_WEBSOCKET
    if request.version != "1.1":
        return _HTTP_1_0
    if request.method != "GET":
        return _NOT_GET
    # Bytes behind the head are frames. A body would be taken for frames, or frames for a body.
    if "transfer-encoding" in found or headers.get("content-length").strip("0"):
        return _HAS_BODY
    if found.get(_VERSION) != ("13",):
        return _WRONG_VERSION
    keys = found.get(_KEY, ())
    if len(keys) != 1 or not _is_key(keys[0]):
        return _WRONG_KEY
    return None


def _is_key(text: str) -> bool:
    try:
        return len(a2b_base64(text, strict_mode=True)) == 16
    except ValueError:
        return False


def new_key() -> str:
    """A fresh Sec-WebSocket-Key: never the client's, whose answer anyone could have seen."""
    return b2a_base64(os.urandom(16), newline=False).decode("ascii")


def accept_for(key: str) -> str:
    """The Sec-WebSocket-Accept that answers `key` (RFC 6455 §4.2.2 step 5.4)."""
    digest = sha1(key.encode("ascii") + _GUID).digest()
    return b2a_base64(digest, newline=False).decode("ascii")


# What each of the two handshakes has of its own, whatever a Connection field says about it.
_OF_THE_REQUEST = ("host", _KEY, _VERSION, _ACCEPT, _EXTENSIONS)
# RFC 9110 §8.6: no Content-Length in a 1xx.
_OF_THE_ANSWER = (_KEY, _VERSION, _ACCEPT, _PROTOCOL, _EXTENSIONS, "content-length")


def backend_request(
    request: Request, *, host: str, key: str, default_origin: str, headers: Headers
) -> Headers:
    """The headers of the handshake with the backend.

    `headers` are the client's, X-Forwarded-* already decided on. `host` is the server's own Host,
    or "" for the client's, `key` is from `new_key`; `default_origin` ("" is none) is for clients
    that sent no Origin. `check_answer` wants the result back.
    """
    # Host is first, where RFC 9110 §7.2 wants it.
    onward = [("host", "Host", host or request.host)]
    onward += end_to_end(headers, *_OF_THE_REQUEST).triples
    if default_origin and "origin" not in headers:
        onward.append(("origin", "Origin", default_origin))
    # Of the client's offers only the one that the frame rules know: RSV2 in use would be a fault.
    if offers := extensions.deflate_elements(headers):
        onward.append((_EXTENSIONS, "Sec-WebSocket-Extensions", ", ".join(offers)))
    onward += _UPGRADE_FIELDS
    onward.append((_VERSION, "Sec-WebSocket-Version", "13"))
    onward.append((_KEY, "Sec-WebSocket-Key", key))
    return Headers.parsed(onward)


def check_answer(status: int, headers: Headers, *, key: str, offer: Headers) -> str | None:
    """What is wrong with the backend's answer 101, or None (RFC 6455 §4.1, the client's checks).

    `offer` are the fields that were sent to the backend. A text that is returned is for the log
    and for a 502.
    """
    if status != 101:
        return f"status {status} where 101 was expected"
    if headers.tokens("upgrade") != ["websocket"]:
        return "its Upgrade is not `websocket`"
    if "upgrade" not in headers.tokens("connection"):
        return "its Connection lacks `Upgrade`"
    if headers.by_name.get(_ACCEPT) != (accept_for(key),):
        return "its Sec-WebSocket-Accept does not answer our key"
    protocols = headers.by_name.get(_PROTOCOL)
    if protocols and (len(protocols) > 1 or protocols[0] not in offer.elements(_PROTOCOL)):
        return "its Sec-WebSocket-Protocol is not one that the client offered"
    agreed = extensions.elements(headers)
    return extensions.check(agreed, extensions.elements(offer)) if agreed else None


def deflate_agreed(headers: Headers) -> dict[str, str] | None:
    """The parameters of permessage-deflate, if the backend's (checked) answer turns it on: RSV1 is
    then in use.
    """
    return extensions.agreed_parameters(headers)


def client_answer(answer_headers: Headers, client_key: str) -> Headers:
    """The end-to-end headers of our 101 to the client, from those of the backend's (checked) 101.

    Connection and Upgrade are the server's to add.
    """
    answer = [(_ACCEPT, "Sec-WebSocket-Accept", accept_for(client_key))]
    answer += [
        (_PROTOCOL, "Sec-WebSocket-Protocol", protocol)
        for protocol in answer_headers.by_name.get(_PROTOCOL, ())
    ]
    if agreed := extensions.elements(answer_headers):
        answer.append((_EXTENSIONS, "Sec-WebSocket-Extensions", ", ".join(agreed)))
    return Headers.parsed(answer + end_to_end(answer_headers, *_OF_THE_ANSWER).triples)
