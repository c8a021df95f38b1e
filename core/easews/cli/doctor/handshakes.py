"""Whether an answer opens a session (RFC 6455 §4.1), and what was agreed on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from wsproto.utilities import generate_accept_token

from .seen import Answer, Flaw, Handshake, Heard

_DEFLATE = "permessage-deflate"


def handshake_seen(
    variant: str, heard: Heard, key: str, protocols: Collection[str], offered: bool
) -> Handshake:
    """What came of a handshake with this `key`. `offered`: whether it offered compression."""
    if not isinstance(heard, Answer) or heard.status != 101:
        return Handshake(variant, heard)
    flaws = tuple(_flaws(heard, key, protocols, offered))
    return Handshake(
        variant, heard, flaws, heard.headers.get("sec-websocket-protocol"), _deflate(heard)
    )


def _flaws(answer: Answer, key: str, protocols: Collection[str], offered: bool) -> Iterator[Flaw]:
    headers = answer.headers
    if headers.tokens("upgrade") != ["websocket"]:
        yield "upgrade-header"
    if "upgrade" not in headers.tokens("connection"):
        yield "connection-header"
    if headers.get("sec-websocket-accept") != generate_accept_token(key.encode()).decode():
        yield "accept"
    chosen = headers.get_all("sec-websocket-protocol")
    if chosen and (len(chosen) > 1 or chosen[0] not in protocols):
        yield "foreign-subprotocol"
    extensions = headers.elements("sec-websocket-extensions")
    names = [extension.partition(";")[0].strip() for extension in extensions]
    if names and (names != [_DEFLATE] or not offered):
        yield "foreign-extension"


def _deflate(answer: Answer) -> str | None:
    for extension in answer.headers.elements("sec-websocket-extensions"):
        name, _, parameters = extension.partition(";")
        if name.strip() == _DEFLATE:
            return parameters.strip()
    return None
