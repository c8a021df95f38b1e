"""Rules on the status of the answer that refuses a handshake. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .findings import Finding
from .refusal import Refusal

_LOGIN = re.compile(r"log-?in|sign-?in|auth|sso|saml|cas/", re.IGNORECASE)


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


#: In the order of how much they explain; the last one always gives a finding.
RULES: tuple[Callable[[Refusal], Finding | None], ...] = (
    *(_redirect, _upgrade_required, _status, _forbidden, _page, _bad_request, _other),
)
