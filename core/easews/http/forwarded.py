"""Whom a request came through: X-Forwarded-* and Forwarded (RFC 7239), read and written.

Every proxy on the way adds the address that it got the request from, at the right-hand end. So
the rightmost element was written by the nearest proxy, and each element further left has been
passed on by one more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ..addresses import Address, Peers, bracketed, is_within, parse_ip
from .headers import Headers, hyphenated
from .values import Request

Mode = Literal["append", "replace", "remove"]
Field = Literal["for", "host", "proto", "port"]

# What backends believe about the client because a proxy is supposed to have written it, besides
# X-Forwarded-*. CGI programs take Proxy for the proxy that they have to use (httpoxy).
_FORWARDING = frozenset(
    {"forwarded", "proxy", "x-forwarded", "x-original-forwarded-for", "x-real-ip"}
)
# What a policy writes.
_WRITTEN = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
)

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # RFC 9110 §5.6.2
# Groups are not repeated possessively, which Python 3.11.2 mishandles. The time is linear anyway:
# the alternatives of each group begin with different characters.
_QUOTED = r'"((?:[^"\\]++|\\.)*)"'
_PAIR = rf"({_TOKEN})=(?:({_TOKEN})|{_QUOTED})"
_token = re.compile(_TOKEN).fullmatch
_pairs = re.compile(_PAIR).findall
_element = re.compile(
    rf"[ \t;]*+(?P<pairs>{_PAIR}(?:[ \t]*+;[ \t]*+{_PAIR})*)?[ \t;]*+(?:,|\Z)"
).match

# RFC 7239 §6, and the ways in which proxies write it into X-Forwarded-For.
_node = re.compile(
    r"(?:\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|([0-9.]+))(?::(?:([0-9]{1,5})|_[0-9A-Za-z._-]+))?"
    r"|([0-9A-Fa-f:.]+)"
).fullmatch


def forwarding_names(headers: Headers) -> frozenset[str]:
    """The fields that only a proxy may write, in any spelling, as lower-case names."""
    names = headers.by_name
    written = "".join(names)
    # Most requests have none, and are not to be slowed down.
    if (
        "forwarded" in written
        or "proxy" in written
        or "x-real-ip" in written
        or "_" in written
        or "." in written
    ):
        return frozenset(filter(_is_forwarding, names))
    return frozenset()


def _is_forwarding(name: str) -> bool:
    name = hyphenated(name)
    return name in _FORWARDING or name.startswith("x-forwarded-")


def parse_node(text: str) -> Address | None:
    """The address in a hop: an IP, with or without brackets and port. An obfuscated port
    (``_name``) is unknown.

    None for what is no address: `unknown`, an obfuscated `_name`, or anything malformed.
    """
    match = _node(text)
    if match is None:
        return None
    bracketed, ipv4, port, bare = match.groups()
    ip = parse_ip(bracketed or ipv4 or bare)
    return Address(str(ip), int(port or 0)) if ip and int(port or 0) < 65536 else None


def forwarded_elements(headers: Headers) -> list[str]:
    """The elements of Forwarded, in order; only those behind the last malformed one.

    A client may leave a quote open to have the honest element behind it read as part of its
    own. So behind a fault the next comma is tried: what an honest proxy added stands last, and
    there is no way to have it begin elsewhere.
    """
    text = ",".join(headers.get_all("forwarded"))
    elements: list[str] = []
    at = 0
    while at < len(text):
        match = _element(text, at)
        if match is None:
            elements.clear()
            at = text.find(",", at) + 1 or len(text)
            continue
        if match["pairs"]:
            elements.append(match["pairs"])
        at = match.end()
    return elements


def forwarded_for(element: str) -> str:
    """The `for` of an element of Forwarded, unquoted; empty when it has none, or several."""
    return _parameter(element, "for")


def _parameter(element: str, wanted: str) -> str:
    found = [
        token or re.sub(r"\\(.)", r"\1", quoted)
        for name, token, quoted in _pairs(element)
        if name.lower() == wanted
    ]
    return found[0] if len(found) == 1 else ""


def asked_scheme(request: Request) -> Literal["http", "https"]:
    """The scheme that the client used: the trusted proxies' word, or that of the connection.

    A proxy that terminates TLS tells it in X-Forwarded-Proto, or in Forwarded. The first one of
    several is the client's own.
    """
    said = request.scheme
    if "x-forwarded-proto" in request.vouched:
        said = next(iter(request.headers.tokens("x-forwarded-proto")), said)
    elif "forwarded" in request.vouched and (elements := forwarded_elements(request.headers)):
        said = _parameter(elements[0], "proto").lower() or said
    return "https" if said in ("https", "wss") else "http"


def asked_host(request: Request) -> str:
    """The host[:port] that the client asked for, in lower case.

    A trusted proxy that asks for another Host says in X-Forwarded-Host what it was asked for; of
    several the first one is the client's. What untrusted peers say there never gets here.
    """
    asked = request.headers.elements("x-forwarded-host")
    return (asked[0] if asked else request.host).lower()


@dataclass(frozen=True, slots=True)
class ForwardedPolicy:
    """What the backend is told about the client.

    mode       "append" keeps what a trusted peer says and adds the peer. "replace" keeps nothing
               and names the peer only. "remove" keeps nothing and adds nothing.
    fields     which of X-Forwarded-For, -Host, -Proto and -Port are written. X-Forwarded-For is a
               list, to which the peer is added. The others describe the client's own request, so
               they are only written when no trusted proxy has done so
    forwarded  whether an element is added to Forwarded, too
    trusted    those of the server's trusted proxies that are trusted here; None is all of them

    What untrusted peers say is dropped when the request is read. So a field that is present, and
    that no trusted peer has sent, was set by a filter. It stays, unless this policy writes it.
    """

    mode: Mode = "append"
    fields: Collection[Field] = ("for", "host", "proto")
    forwarded: bool = False
    trusted: Collection[Peers] | None = None

    def apply(self, headers: Headers, request: Request) -> None:
        """Change `headers`, which are sent to the backend, for `request`.

        `headers` may be `request.headers`.
        """
        host = request.peer.host
        if self.mode != "append":
            headers.remove(*_WRITTEN, *request.vouched)
        elif self.trusted is not None and not is_within(host, self.trusted):
            headers.remove(*request.vouched)
        if self.mode == "remove":
            return
        peer = _node_of(host)
        if "for" in self.fields:
            hops = [*headers.elements("x-forwarded-for"), peer]
            headers.remove("x-forwarded-for")
            written = [("x-forwarded-for", "X-Forwarded-For", ", ".join(hops))]
        else:
            written = []
        found = headers.by_name
        written += [field for field in self._about(request) if field[2] and field[0] not in found]
        headers.extend(written)
        if self.forwarded:
            elements = [*forwarded_elements(headers), _element_of(peer, request)]
            headers.set("Forwarded", ", ".join(elements))

    def _about(self, request: Request) -> Iterator[tuple[str, str, str]]:
        if "host" in self.fields:
            yield "x-forwarded-host", "X-Forwarded-Host", request.host
        if "proto" in self.fields:
            yield "x-forwarded-proto", "X-Forwarded-Proto", request.scheme
        if "port" in self.fields and request.local.port:
            yield "x-forwarded-port", "X-Forwarded-Port", str(request.local.port)


@lru_cache(maxsize=4096)  # the same few proxies and clients come again and again
def _node_of(host: str) -> str:
    """A peer as a hop; RFC 7239 §6.2 for one that has no address, such as a unix socket."""
    return str(parse_ip(host) or "unknown")


def _element_of(peer: str, request: Request) -> str:
    pairs = {"for": bracketed(peer), "host": request.host}
    pairs["proto"] = request.scheme
    return ";".join(f"{name}={_quoted(value)}" for name, value in pairs.items() if value)


def _quoted(value: str) -> str:
    """`value` as a token where it is one, else as a quoted string (RFC 7239 §4)."""
    return value if _token(value) else '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
