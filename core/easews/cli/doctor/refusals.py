"""Rules on the handshake of a browser that opens no session. Pure.

Each rule is a function of a `Refusal`, in the order of how much it explains; the first that gives a
finding is the cause.
"""

from __future__ import annotations

from collections.abc import Callable

from . import statuses
from .findings import Finding
from .refusal import Refusal
from .seen import Hop, Lost
from .unanswered import lost_finding


def refusal_finding(hop: Hop) -> Finding | None:
    """Why a browser's handshake at this hop opens no session; None when it does."""
    browser = hop.browser
    if browser is None or browser.switches:
        return None
    if isinstance(browser.heard, Lost):
        return lost_finding(hop, browser.heard)
    refusal = Refusal.of(hop, browser.heard)
    return next(filter(None, (rule(refusal) for rule in RULES)))


def _to_tls(refusal: Refusal) -> Finding | None:
    if refusal.saying is None or refusal.saying.meaning != "to-tls":
        return None
    return refusal.finding(
        "tls-expected",
        "The port expects TLS",
        "ws:// is plain text and this port is not",
        "use wss:// here; in a proxy in front, https:// to this server",
    )


def _upgrade_lost(refusal: Refusal) -> Finding | None:
    saying = refusal.saying
    if saying is None or saying.meaning not in ("no-upgrade", "old-http"):
        return None
    what = "HTTP/1.0" if saying.meaning == "old-http" else "no Upgrade or Connection: upgrade"
    return refusal.finding(
        "upgrade-lost",
        "The Upgrade of the handshake gets lost on the way",
        f"these are words of {saying.by} for a request with {what}. This one was HTTP/1.1 and"
        " had the upgrade, so a proxy in front does not pass it on",
    )


def _envoy(refusal: Refusal) -> Finding | None:
    if (refusal.product, refusal.answer.status, refusal.answer.body) != ("Envoy", 403, b""):
        return None
    return refusal.finding(
        "upgrade-refused",
        "Envoy does not allow the upgrade",
        "an empty 403 is what Envoy answers to an upgrade that no upgrade_configs names",
    )


def _host(refusal: Refusal) -> Finding | None:
    if not refusal.hop.works("own-host"):
        return None
    return refusal.finding(
        "host-expected",
        "Only its own Host is accepted",
        "with the Host of the public URL it refuses, with its own it accepts: a proxy in front must"
        " not pass the client's Host on, or this server has to know the public name",
        "add the public name to this server's names (server_name, hosts), or ask it with"
        " --header 'Host: NAME'",
    )


def _origin(refusal: Refusal) -> Finding | None:
    said = refusal.saying is not None and refusal.saying.meaning == "origin"
    if not said and not refusal.hop.works("no-origin"):
        return None
    return refusal.finding(
        "origin-refused",
        "The Origin is refused",
        "pages of this origin may not open a session; clients outside of browsers, which send no"
        " Origin, " + ("may" if refusal.hop.works("no-origin") else "are refused as well"),
    )


_PARTS = {
    "no-deflate": ("deflate-refused", "the offer of compression (Sec-WebSocket-Extensions)"),
    "no-subprotocol": ("subprotocol-refused", "the subprotocols that are offered"),
    "respelled": ("spelling-refused", "how Upgrade and Connection are spelt"),
    "bare": ("browser-refused", "one of a browser's fields (User-Agent, Cookie, Sec-Fetch-*)"),
}


def _part(refusal: Refusal) -> Finding | None:
    for variant, (code, what) in _PARTS.items():
        if refusal.hop.works(variant):
            return refusal.finding(
                code,
                "One part of a browser's handshake is refused",
                f"it is {what}: without it the handshake works",
                "allow it in the server or in the firewall for web applications in front of it",
            )
    return None


RULES: tuple[Callable[[Refusal], Finding | None], ...] = (
    *(_to_tls, _upgrade_lost, _envoy, _host, _origin, _part),
    *statuses.RULES,
)
