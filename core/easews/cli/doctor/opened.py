"""Rules on handshakes and sessions that do work, at least to begin with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .findings import Finding
from .remedies import Remedy
from .seen import Answer, Handshake, Hop, SessionSeen

_FLAWS: Mapping[str, tuple[str, str]] = {
    "accept": (
        "Sec-WebSocket-Accept does not fit the key that was sent",
        "a cache has answered, or a proxy changed Sec-WebSocket-Key: exempt the path from both",
    ),
    "upgrade-header": (
        "the answer 101 has no Upgrade: websocket",
        "a proxy drops it from the answer: look for rules that remove fields of answers",
    ),
    "connection-header": (
        "the answer 101 has no Connection: Upgrade",
        "a proxy drops it from the answer: look for rules that remove fields of answers",
    ),
    "foreign-subprotocol": (
        "the answer chooses a subprotocol that was not offered",
        "have the server choose one of those in Sec-WebSocket-Protocol, or none",
    ),
    "foreign-extension": (
        "the answer has an extension that was not offered",
        "have the server answer only what is in Sec-WebSocket-Extensions; a proxy may have dropped"
        " it there and not here",
    ),
}


def answer_findings(hop: Hop) -> Iterator[Finding]:
    """What is wrong with the answers 101."""
    for handshake in hop.handshakes.values():
        for flaw in handshake.flaws:
            seen, remedy = _FLAWS[flaw]
            yield Finding(
                f"answer-{flaw}",
                "handshake",
                "Browsers refuse the answer 101",
                seen,
                "a browser fails the connection and shows 1006",
                (Remedy(remedy),),
            )
        if handshake.flaws:
            return  # the others have the same


#: By the variant of the handshake, and whether it works: the code, the title, and what it means.
_NOTES: Mapping[tuple[str, bool], tuple[str, str, str]] = {
    ("no-subprotocol", False): (
        "subprotocol-needed",
        "A subprotocol is needed",
        "without one the handshake is refused",
    ),
    ("no-origin", False): (
        "origin-needed",
        "An Origin is needed",
        "clients outside of browsers send none, and are refused",
    ),
    ("foreign-origin", True): (
        "any-origin",
        "Pages of any site may open a session",
        "if a cookie says whose session it is, a foreign page can open one for that user: check"
        " Origin in the server, or in the gateway",
    ),
}
_NO_DEFLATE = (
    "no-deflate",
    "Messages are not compressed",
    "the server does not agree on permessage-deflate, or a proxy drops the offer",
)
#: By the variant that is refused: the same, and what to change.
_REFUSED: Mapping[str, tuple[str, str, str, str]] = {
    "respelled": (
        "spelling-refused",
        "Upgrade and Connection in other letters are refused",
        "the values are compared with their case, which RFC 6455 §4.2.1 forbids: Firefox sends"
        " `keep-alive, Upgrade`, others `WebSocket`",
        "compare without case, and `upgrade` as one of several elements of Connection",
    ),
    "no-deflate": (
        "no-deflate-refused",
        "A handshake without an offer of compression is refused",
        "programs and devices do not send it",
        "do not ask for it in the server or in a firewall in front of it",
    ),
    "bare": (
        "bare-refused",
        "A handshake without a browser's fields is refused",
        "programs and devices do not send it",
        "do not ask for it in the server or in a firewall in front of it",
    ),
}


def variant_findings(hop: Hop, protocols: Sequence[str]) -> Iterator[Finding]:
    """What differs between the handshakes, where the browser's works."""
    browser = hop.browser
    if browser is None or not browser.works:
        return
    if protocols and not browser.subprotocol:
        yield _subprotocol_ignored(protocols)
    for (variant, works), words in _NOTES.items():
        if hop.works(variant) is works:
            yield _note(*words)
    for variant, refused in _REFUSED.items():
        if hop.works(variant) is False:
            yield _broken(*refused, hop.handshakes[variant])
    if browser.deflate is None:
        yield _note(*_NO_DEFLATE)


def _subprotocol_ignored(protocols: Sequence[str]) -> Finding:
    return Finding(
        "subprotocol-ignored",
        "handshake",
        "No subprotocol is agreed on",
        f"{', '.join(protocols)} was offered, and the answer names none",
        "browsers open the session without one; many clients then close it. The server does not"
        " know the name, or a proxy drops Sec-WebSocket-Protocol",
        (Remedy("have the server choose one of the names, and proxies pass the field on"),),
    )


def _note(code: str, title: str, means: str) -> Finding:
    return Finding(code, "handshake", title, "", means, problem=False)


def _broken(code: str, title: str, means: str, remedy: str, handshake: Handshake) -> Finding:
    heard = handshake.heard
    seen = f"got {heard.status}" if isinstance(heard, Answer) else f"{heard.how} {heard.detail}"
    return Finding(code, "handshake", title, seen, means, (Remedy(remedy),))


_CODES: Mapping[int, str] = {
    1001: "the server is shutting down, or has no use for this session",
    1002: "the server takes what it got for a breach of the protocol: a proxy changes frames",
    1003: "the server does not take this kind of data",
    1008: "a policy of the server: often a missing token, or an Origin that it does not know",
    1009: "a message was too large",
    1011: "the server failed: its log says why",
    1012: "the server restarts",
    1013: "the server is overloaded",
    1014: "a gateway got no valid answer from its server",
}


def session_findings(hop: Hop) -> Iterator[Finding]:
    """What is wrong with a session that was opened."""
    session = hop.session
    if session is None:
        return
    if session.malformed:
        yield _session(
            "not-frames",
            "What comes behind the answer are no frames",
            session.malformed,
            "a proxy answers 101 itself or changes what passes, such as by compressing it",
            "have proxies treat the connection as a tunnel behind the 101",
        )
    elif session.early:
        code = session.code
        means = "the connection is cut without a Close: a browser shows 1006"
        if code is not None:
            means = _CODES.get(code, f"{code} is a code of the application")
        yield _session(
            "closed-at-once",
            "The session is ended right after the handshake",
            "no Close came" if code is None else f"Close {code} {session.reason}".rstrip(),
            means,
            "look at the log of the server; if it has the session, a proxy between has cut it",
        )
    else:
        yield from _traffic_findings(session)


def _traffic_findings(session: SessionSeen) -> Iterator[Finding]:
    if session.pong is None:
        yield _session(
            "ping-unanswered",
            "Nothing answers a ping",
            "no pong came",
            "frames do not pass, or the server is stuck: a proxy has answered 101 and buffers what"
            " comes behind it, or the server's reader waits for something",
            "turn buffering of requests and answers off for this path, and ask the next hop, with"
            " --via",
        )
    if session.sent and session.reply is None:
        yield _session(
            "message-unanswered",
            "The message is not answered",
            "no message came back in time",
            "frames pass, as the ping shows" if session.pong is not None else "nothing passes",
            "check what the application answers to this text",
        )
    elif not session.expected:
        yield _session(
            "message-unexpected",
            "Another message comes back than expected",
            f"{session.reply!r}"[:120],
            "a proxy or filter changes messages, or the application answers otherwise",
            "compare with the same at the next hop, with --via",
        )
    if session.code is None:
        yield _session(
            "close-unanswered",
            "A Close is not answered",
            "the connection ended, or stayed, without a Close",
            "browsers show 1006 for each orderly end, and nobody can tell it from a failure",
            "have the server answer a Close with a Close; a proxy must not cut the connection"
            " first",
        )


def _session(code: str, title: str, seen: str, means: str, remedy: str) -> Finding:
    return Finding(code, "session", title, seen, means, (Remedy(remedy),))
