"""Sticky sessions: a client goes back to the server that it had before.   (pure)

A cookie of ours names the server. Its value is an HMAC of the server's identity: it shows no
address, nobody can make one for a server of their choice, and every pool that has the server and
the secret knows it. Nothing is stored, so cookies outlive reloads, and restarts with a `secret`.

When the server is gone, down or full, or does not answer, the pool's policy chooses another one,
and the cookie is replaced.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Any

from ...filters import SpecFault
from ...http import Headers, Request
from ...http.cookies import cookie, cookies, sets_cookie
from ...http.forwarded import asked_scheme
from ..servers import Member, Server
from . import Policy
from .hashing import Hashed
from .policy import Skip

Spec = Mapping[str, Any]

# For configs without a secret: it holds for this process, whatever is reloaded.
_our_secret = os.urandom(32)
_MAC_BYTES = 18  # a multiple of 3, so that base64 needs no padding
_HANDLE = 8  # characters of a value that are enough to find the server


def use_secret(secret: bytes) -> None:
    """Use `secret` for configs without one, from now on: several processes share it."""
    global _our_secret
    _our_secret = secret


def our_secret() -> bytes:
    """The secret for configs without one."""
    return _our_secret


class StickyCookie:
    """The cookie that names a server: its values, and when it is set."""

    def __init__(self, spec: Spec) -> None:
        """`spec` is a valid `stickySession` of the mode DurationBased or ApplicationBased."""
        self._name: str = spec["lbCookieName"]
        self._secret: bytes = spec["secret"].encode() if "secret" in spec else _our_secret
        self._app_cookie: str | None = spec.get("appCookieName")
        self._max_age = round(spec["lbCookieExpire"])
        self._secure: bool | None = spec.get("secure")
        if self._secure is None and spec["sameSite"] == "None":
            self._secure = True  # browsers accept no other
        self._attributes = _attributes(spec, self._max_age)

    def value(self, server: Server) -> str:
        """The value that names `server`."""
        mac = digest(self._secret, server.identity.encode(), sha256)[:_MAC_BYTES]
        return urlsafe_b64encode(mac).decode()

    def sent(self, request: Request) -> Iterator[str]:
        """The values that the client has sent."""
        return cookies(request.headers, self._name)

    def set(self, request: Request, server: Server, headers: Headers) -> None:
        """Add the cookie to the `headers` of the answer of `server`, if it is to be set."""
        value = self.value(server)
        if self._is_due(request, value, headers):
            secure = self._secure
            if secure is None:
                secure = asked_scheme(request) == "https"
            headers.add("Set-Cookie", f"{self._name}={value}{self._attributes}{_SECURE[secure]}")

    def _is_due(self, request: Request, value: str, headers: Headers) -> bool:
        sent = [*self.sent(request)]
        if self._app_cookie is not None:
            # A client that we have led to a server stays with the one that answers now.
            moved = bool(sent) and value not in sent
            return moved or sets_cookie(headers, self._app_cookie)
        return self._max_age > 0 or value not in sent  # what expires is renewed


class Sticky:
    """A policy: the server that the cookie names, otherwise what `others` chooses."""

    def __init__(self, sticky: StickyCookie, others: Policy) -> None:
        self._cookie = sticky
        self.others: Policy = others
        self._members: dict[str, tuple[str, Member]] = {}

    def update(self, members: Sequence[Member]) -> None:
        self.others.update(members)
        self._members = {}
        for member in members:
            value = self._cookie.value(member.server)
            self._members.setdefault(value[:_HANDLE], (value, member))

    def choose(self, request: Request, skip: Skip | None = None) -> Member | None:
        for sent in self._cookie.sent(request):
            member = self._named(sent)
            if member is not None and member.usable and not (skip and skip(member)):
                return member
        return self.others.choose(request, skip)

    def _named(self, sent: str) -> Member | None:
        found = self._members.get(sent[:_HANDLE])
        if found is None:
            return None
        value, member = found
        return member if compare_digest(value.encode(), sent.encode()) else None


_SECURE = {True: "; Secure", False: ""}


def _attributes(spec: Spec, max_age: int) -> str:
    parts = [f"; Path={spec['path']}"]
    if "domain" in spec:
        parts.append(f"; Domain={spec['domain']}")
    if max_age:
        parts.append(f"; Max-Age={max_age}")
    if spec["httpOnly"]:
        parts.append("; HttpOnly")
    parts.append(f"; SameSite={spec['sameSite']}")
    return "".join(parts)


def sticky_policy(spec: Spec, others: Policy) -> tuple[Policy, StickyCookie | None]:
    """The policy for a valid `stickySession`, and the cookie that it needs, if any.

    `others` chooses for clients that have no server yet.
    """
    if spec["mode"] == "CookieConsistentHash":
        name: str = spec["appCookieName"]
        return Hashed(lambda request: cookie(request.headers, name) or None, others), None
    sticky = StickyCookie(spec)
    return Sticky(sticky, others), sticky


def sticky_faults(spec: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """What the schema of `stickySession` cannot say: fields that have to agree."""
    mode, same_site, secure = spec["mode"], spec["sameSite"], spec.get("secure")
    if mode != "DurationBased" and "appCookieName" not in spec:
        yield SpecFault(
            (*at, "mode"),
            f"{mode} needs a cookie of the application",
            "name it in appCookieName",
        )
    if mode == "DurationBased" and "appCookieName" in spec:
        yield SpecFault(
            (*at, "appCookieName"),
            "DurationBased does not look at the application's cookies",
            "leave it out, or write mode: ApplicationBased or CookieConsistentHash",
        )
    if mode == "ApplicationBased" and spec.get("appCookieName") == spec["lbCookieName"]:
        yield SpecFault(
            (*at, "lbCookieName"),
            "it is the name of the application's cookie, which would be overwritten",
            "choose another name",
        )
    if same_site == "None" and secure is False:
        yield SpecFault(
            (*at, "secure"),
            "browsers drop a cookie with SameSite=None that is not Secure",
            "leave it out, or write sameSite: Lax",
        )
    yield from _prefix_faults(spec, at)


def _prefix_faults(spec: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """RFC 6265bis §4.1.3: what the beginning of a cookie's name promises."""
    name = spec["lbCookieName"].lower()
    if name.startswith(("__host-", "__secure-")) and not spec.get("secure"):
        yield SpecFault(
            (*at, "lbCookieName"),
            "browsers drop a cookie with this prefix that is not Secure",
            "add secure: true",
        )
    if name.startswith("__host-") and ("domain" in spec or spec["path"] != "/"):
        yield SpecFault(
            (*at, "lbCookieName"),
            "browsers drop a cookie with __Host- that has a domain, or a path other than /",
            "leave domain and path out",
        )
