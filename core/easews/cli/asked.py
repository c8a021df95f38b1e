"""A request as the command line describes it, and the server that gets it.          (pure)"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from ..addresses import Address, parse_ip
from ..config.model import Config, ServerSpec
from ..http import Headers, Request
from ..spelling import did_you_mean

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_HANDSHAKE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


class Unclear(ValueError):
    """Nobody can tell what is asked for; the text says why, and what to write.

    `about` is the part of the command line that it is in.
    """

    def __init__(self, about: str, text: str) -> None:
        super().__init__(text)
        self.about = about


class Asked(NamedTuple):
    """`port` is the one that the URL leads to."""

    request: Request
    url: str
    port: int


def asked(url: str, method: str, headers: Sequence[str], client: str) -> Asked:
    """The request for `url`; for ws:// or wss:// it asks for a WebSocket. Unclear if it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Unclear("URL", f"{url} is no URL: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Unclear("URL", f"{url} is no URL of a request; write one such as ws://host:8080/path")
    if parse_ip(client) is None:
        raise Unclear("--client-ip", f"{client!r} is no IP address; write one such as 192.0.2.1")
    fields = [*map(_field, headers)]
    names = {name.lower() for name, _ in fields}
    known = [("Host", parts.netloc.rpartition("@")[2])]
    if parts.scheme in ("ws", "wss"):
        known += _HANDSHAKE
    fields = [*((name, value) for name, value in known if name.lower() not in names), *fields]
    secure = parts.scheme in ("https", "wss")
    request = Request(
        method.upper(),
        _target(parts.path, parts.query),
        Headers(fields),
        scheme="https" if secure else "http",
        client=Address(client),
    )
    return Asked(request, url, port or _PORTS[parts.scheme])


def _target(path: str, query: str) -> str:
    """As a client would send it: what has to be encoded is."""
    target = f"{path or '/'}?{query}" if query else path or "/"
    return quote(target, safe=string.punctuation)


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Unclear("--header", f"{text!r} is no header field; write it as 'Name: value'")
    return name.strip(), value.strip().encode().decode("latin-1")


def server_for(asked: Asked, config: Config, name: str | None) -> tuple[ServerSpec, str]:
    """The server that gets the request, and a note if the URL does not lead to it by itself.

    It is the one called `name`, else the one with the URL's port, else the only one.
    """
    servers = {spec.name: spec for spec in config.servers}
    if name is not None:
        if name not in servers:
            hint = did_you_mean(name, servers) or f"there are: {', '.join(servers) or 'none'}"
            raise Unclear("--server", f"no server is called {name!r}; {hint}")
        return servers[name], ""
    fitting = [spec for spec in config.servers if spec.port == asked.port]
    if len(fitting) == 1:
        return fitting[0], "".join(_scheme_notes(asked, fitting[0]))
    if len(servers) == 1:
        (only,) = config.servers
        return only, f"the URL has port {asked.port}, and {only.name} {where(only)}"
    how = ", ".join(f"{spec.name} ({where(spec)})" for spec in config.servers) or "none"
    several = (
        f"several servers have port {asked.port}" if fitting else f"none has port {asked.port}"
    )
    raise Unclear("URL", f"it is not clear which server: {several}; choose with --server: {how}")


def where(spec: ServerSpec) -> str:
    """Where a server listens."""
    return f"has port {spec.port}" if spec.port else f"has the address {spec.address}"


def _scheme_notes(asked: Asked, spec: ServerSpec) -> Iterator[str]:
    if (asked.request.scheme == "https") != (spec.tls is not None):
        speaks = "speaks TLS (https://, wss://)" if spec.tls else "speaks no TLS (http://, ws://)"
        yield f"{spec.name} {speaks}"
