"""Rules on the handshake of a browser that opens no session. Pure.

Each rule is a function of a `Refusal`, in the order of how much it explains; the first that gives a
finding is the cause.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from textwrap import shorten

from .findings import Finding
from .products import product_of
from .remedies import Remedy, remedies
from .sayings import Saying, said_of
from .seen import Answer, Hop, Lost

_LOGIN = re.compile(r"log-?in|sign-?in|auth|sso|saml|cas/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer other than 101, and what else is known of this hop."""

    hop: Hop
    answer: Answer
    product: str
    saying: Saying | None

    @property
    def as_a_page(self) -> bool:
        """Whether a plain GET gets the same answer."""
        plain = self.hop.plain
        return (
            isinstance(plain, Answer)
            and plain.status == self.answer.status
            and _steady(plain) == _steady(self.answer)
        )

    @property
    def line(self) -> str:
        """The answer in a line."""
        first = shorten(self.answer.text.strip().partition("\n")[0], 160)
        body = f", and its body begins with {first!r}" if first and first[0] != "<" else ""
        by = f" of {self.product}" if self.product else ""
        return f"the handshake got {self.answer.status} {self.answer.reason}{by}".rstrip() + body

    def finding(self, code: str, title: str, means: str, remedy: str = "") -> Finding:
        """A finding with the remedies that are known, or with this one."""
        said = self.saying.by if self.saying else ""
        change = (Remedy(remedy),) if remedy else remedies(code, [self.product, said])
        return Finding(code, "handshake", title, self.line, means, change)


def _steady(answer: Answer) -> str:
    """The body without what differs from one answer to the next: ids, times."""
    return re.sub(r"[0-9a-fA-F-]{8,}|\d+", "#", answer.text)


def refusal_finding(hop: Hop) -> Finding | None:
    """Why a browser's handshake at this hop opens no session; None when it does."""
    browser = hop.browser
    if browser is None or browser.switches:
        return None
    if isinstance(browser.heard, Lost):
        return _lost(hop, browser.heard)
    answer = browser.heard
    refusal = Refusal(hop, answer, product_of(answer), said_of(answer))
    return next(filter(None, (rule(refusal) for rule in RULES)))


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


def _lost(hop: Hop, lost: Lost) -> Finding:
    title, means, remedy = _LOST[lost.how]
    code = {"silent": "no-answer", "malformed": "not-http"}.get(lost.how, f"handshake-{lost.how}")
    if lost.how != "malformed" and isinstance(hop.plain, Answer):
        means = f"a plain GET is answered with {hop.plain.status}, so it is the handshake: {means}"
        remedy = remedy.partition(";")[0]
    return Finding(code, "handshake", title, lost.detail, means, (Remedy(remedy),))


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


def _redirect(refusal: Refusal) -> Finding | None:
    if refusal.answer.status not in (301, 302, 303, 307, 308):
        return None
    location = refusal.answer.headers.get("location").partition("?")[0] or "(nowhere)"
    if _LOGIN.search(location):
        remedy = "send the session's cookie (here with --header 'Cookie: ...'), or exempt the path"
    elif location.startswith(("https:", "wss:")) and not refusal.hop.secure:
        remedy = "use wss:// in the page's code"
    elif location.endswith("/"):
        remedy = "write the path as the redirect has it, with a / at its end"
    else:
        remedy = f"use the URL that it leads to, {location}, or exempt the path from redirects"
    return refusal.finding(
        "redirected",
        "The handshake is redirected",
        f"it leads to {location}; no browser follows a redirect of a handshake",
        remedy,
    )


def _status(refusal: Refusal) -> Finding | None:
    entry = _BY_STATUS.get(refusal.answer.status)
    return refusal.finding(*entry) if entry else None


_BY_STATUS: Mapping[int, tuple[str, str, str, str]] = {
    401: (
        "unauthorized",
        "The handshake has to prove who asks",
        "a browser's WebSocket can send cookies, and a user and password only in the URL",
        "send the token as a cookie, a query or a subprotocol; here with --header",
    ),
    404: (
        "not-found",
        "There is nothing at this path",
        "the path is not known here; behind a proxy it may have been rewritten",
        "check the path, the proxy's prefix (a trailing / in nginx's proxy_pass cuts it off), and"
        " the routes of the application",
    ),
    405: (
        "method-refused",
        "GET is not allowed at this path",
        "a handshake is a GET; the path belongs to something else",
        "check the path",
    ),
    429: (
        "too-many",
        "There are too many requests",
        "a limit on requests or connections counts this client as well",
        "wait, or raise the limit for this path",
    ),
    431: (
        "headers-too-large",
        "The header is too large",
        "large cookies are the usual cause",
        "raise the limit (large_client_header_buffers in nginx), or remove cookies of this host",
    ),
    502: (
        "bad-gateway",
        "The proxy gets no answer from its server",
        "the proxy itself is well",
        "",
    ),
    503: ("unavailable", "The proxy has no server to ask", "the proxy itself is well", ""),
    504: (
        "gateway-timeout",
        "The proxy's server does not answer in time",
        "the proxy itself is well",
        "",
    ),
}


def _upgrade_required(refusal: Refusal) -> Finding | None:
    if refusal.answer.status != 426:
        return None
    version = refusal.answer.headers.get("sec-websocket-version")
    if version and version != "13":
        return refusal.finding(
            "version-refused",
            "Another version of the protocol is wanted",
            f"it takes Sec-WebSocket-Version {version}, browsers send 13",
            "update the server: 13 is that of RFC 6455, from 2011",
        )
    return refusal.finding(
        "upgrade-lost",
        "The Upgrade of the handshake gets lost on the way",
        "426 asks for the Upgrade that was sent, so it has not reached the server that answers",
    )


def _envoy(refusal: Refusal) -> Finding | None:
    if (refusal.product, refusal.answer.status, refusal.answer.body) != ("Envoy", 403, b""):
        return None
    return refusal.finding(
        "upgrade-refused",
        "Envoy does not allow the upgrade",
        "an empty 403 is what Envoy answers to an upgrade that no upgrade_configs names",
    )


def _forbidden(refusal: Refusal) -> Finding | None:
    if refusal.answer.status != 403:
        return None
    return refusal.finding(
        "forbidden",
        "The handshake is forbidden",
        "a rule of the server or of a firewall for web applications refuses it, with and without"
        " Origin",
        "look at the log of whoever answered; if it is a firewall's page, exempt the path",
    )


def _page(refusal: Refusal) -> Finding | None:
    if not 200 <= refusal.answer.status < 300:
        return None
    html = " (HTML)" if refusal.answer.media_type == "text/html" else ""
    same = ", the same that a plain GET gets" if refusal.as_a_page else ""
    old = " over HTTP/1.0, which has no upgrades," if refusal.answer.version == "1.0" else ""
    return refusal.finding(
        "no-websocket-here",
        "A page comes instead of a session",
        f"a page{html}{old} is the answer{same}: who answers does not know that a WebSocket is"
        " asked for",
    )


def _bad_request(refusal: Refusal) -> Finding | None:
    if refusal.answer.status != 400:
        return None
    if refusal.as_a_page:
        return refusal.finding(
            "upgrade-lost",
            "The Upgrade of the handshake probably gets lost on the way",
            "a plain GET gets the same 400: the server that answers sees no difference between"
            " them",
        )
    return refusal.finding(
        "bad-request",
        "The handshake is taken for a bad request",
        "a plain GET of the URL is answered otherwise, so it is something in the handshake",
        "look at the log of the server that answers; a query or cookie may be missing",
    )


def _other(refusal: Refusal) -> Finding:
    status = refusal.answer.status
    whose = "the server failed" if status >= 500 else "the server refuses"
    return refusal.finding(
        "refused",
        "The handshake is refused",
        f"{whose}, with a status that says no more",
        "look at the log of whoever answered",
    )


RULES: tuple[Callable[[Refusal], Finding | None], ...] = (
    *(_to_tls, _upgrade_lost, _envoy, _host, _origin, _part, _redirect, _upgrade_required),
    *(_status, _forbidden, _page, _bad_request, _other),
)
