"""What servers say of a handshake that arrived without one of its parts. Pure.

Each server words this differently. Its words show which parts of the handshake have reached it,
whichever proxies are in front.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from .seen import Answer

Meaning = Literal["no-upgrade", "old-http", "origin", "to-tls", "no-server", "slow-server"]


class Saying(NamedTuple):
    """`said` finds its words in a body; `by` is who words it so."""

    meaning: Meaning
    by: str
    said: Callable[[str], object]


def _saying(meaning: Meaning, by: str, pattern: str) -> Saying:
    return Saying(meaning, by, re.compile(pattern, re.IGNORECASE).search)


SAYINGS = (
    _saying("no-upgrade", "websockets (Python)", r"missing (?:Connection|Upgrade) header"),
    _saying("no-upgrade", "websockets (Python)", r"invalid (?:Connection|Upgrade) header"),
    _saying("no-upgrade", "aiohttp", r"No (?:WebSocket UPGRADE|CONNECTION upgrade) hdr"),
    _saying("no-upgrade", "Tornado or Spring", r'Can "Upgrade" only to "WebSocket"'),
    _saying("no-upgrade", "Tornado", r'"Connection" must be "Upgrade"'),
    _saying("no-upgrade", "Gorilla (Go)", r"client is not using the websocket protocol"),
    _saying("no-upgrade", "coder/websocket (Go)", r"header \S* ?does not contain (?:Upgrade|web)"),
    _saying("no-upgrade", "golang.org/x/net/websocket", r"\Anot websocket protocol"),
    _saying("no-upgrade", "ws (Node)", r"\A(?:Upgrade Required|Invalid Upgrade header)\Z"),
    _saying("no-upgrade", "ASP.NET", r"not a (?:valid )?WebSocket (?:upgrade )?request"),
    _saying("no-upgrade", "tungstenite (Rust)", r"No \"?(?:Connection: upgrade|Upgrade)\"? header"),
    _saying("no-upgrade", "axum (Rust)", r"`(?:Connection|Upgrade)` header (?:did not|didn't)"),
    _saying("no-upgrade", "Jetty", r"Not a WebSocket Upgrade"),
    _saying(
        "no-upgrade", "an application", r"expected (?:a )?websocket|websocket (?:requests? )?only"
    ),
    _saying("old-http", "websockets (Python)", r"unsupported (?:HTTP version|protocol)"),
    _saying("old-http", "Tornado", r"HTTP/1\.1 is required"),
    _saying("origin", "websockets (Python)", r"invalid Origin header|missing Origin header"),
    _saying("origin", "Gorilla (Go)", r"request origin not allowed"),
    _saying("origin", "coder/websocket (Go)", r"request Origin .* is not authorized"),
    _saying("origin", "Tornado", r"Cross origin websockets not allowed"),
    _saying("origin", "easews", r"the Origin of this handshake is refused"),
    _saying("origin", "Spring", r"Invalid CORS request|Origin .* not allowed"),
    _saying("to-tls", "nginx", r"plain HTTP request was sent to HTTPS port"),
    _saying("to-tls", "Go", r"Client sent an HTTP request to an HTTPS server"),
    _saying("to-tls", "Apache", r"speaking plain HTTP to an SSL-enabled server port"),
    _saying("to-tls", "HTTP servers", r"This combination of host and port requires TLS"),
    _saying("no-server", "Envoy", r"no healthy upstream|upstream connect error"),
    _saying("no-server", "HAProxy", r"No server is available to handle this request"),
    _saying("slow-server", "Envoy", r"upstream request timeout"),
    _saying("slow-server", "HAProxy", r"The server didn't respond in time"),
)


def said_of(answer: Answer) -> Saying | None:
    """What the body of an answer says, if these are known words."""
    return next((saying for saying in SAYINGS if saying.said(answer.text)), None)
