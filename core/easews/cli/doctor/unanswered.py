"""Rules on handshakes that get no answer, or none that is HTTP. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from .findings import Finding
from .remedies import Remedy
from .seen import Answer, Hop, Lost

_LOST: Mapping[str, tuple[str, str, str]] = {
    "silent": (
        "No answer to the handshake",
        "the connection is accepted and nothing is answered: the process hangs, a proxy waits for a"
        " server that does not answer, or the port speaks another protocol",
        "ask the server behind it directly, with --via",
    ),
    "closed": (
        "The connection is closed without an answer",
        "the server takes the request for invalid, or its process ends while it handles it",
        "look at the server's log at this time; if it is an HTTPS port, use wss://",
    ),
    "reset": (
        "The connection is reset",
        "the process died, or a firewall or intrusion filter between has cut the connection",
        "look at the server's log, and ask it from a machine inside, with --via",
    ),
    "malformed": (
        "The answer is not HTTP/1.1",
        "the port speaks another protocol",
        "check the port; a TLS port is asked with wss://, one that speaks only HTTP/2 cannot answer"
        " this handshake",
    ),
    "unreachable": (
        "The connection cannot be opened again",
        "the first connection was accepted and this one was not",
        "look for a limit on connections of one client",
    ),
}


def lost_finding(hop: Hop, lost: Lost) -> Finding:
    """Why a handshake is not answered."""
    title, means, remedy = _LOST[lost.how]
    code = {"silent": "no-answer", "malformed": "not-http"}.get(lost.how, f"handshake-{lost.how}")
    if lost.how != "malformed" and isinstance(hop.plain, Answer):
        means = f"a plain GET is answered with {hop.plain.status}, so it is the handshake: {means}"
        remedy = remedy.partition(";")[0]
    return Finding(code, "handshake", title, lost.detail, means, (Remedy(remedy),))
