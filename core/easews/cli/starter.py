"""A first config for a backend: a gateway in front of it, with comments on what to set.   (pure)

A setting that can be enabled by removing its `#` is written as ``#key: value``; in prose a space
follows the `#`.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from ..addresses import UNIX, parse_ip
from ..schema import formats

# What YAML reads as text without quotes.
_plain = re.compile(r"[A-Za-z/][A-Za-z0-9/._:\[\]-]*[A-Za-z0-9/._\]-]|/").fullmatch

_TEMPLATE = """\
# A gateway in front of {server}, made by `easews init`.
#
# `easews validate {file}` reports every problem, with its line and a remedy.
# `easews run {file}` serves it: {gateway} leads to {backend}.
# `easews run --admin 127.0.0.1:9901 {file}` has an admin interface, too: a dashboard, metrics, and
# answers to `easews ctl`. A Gateway object sets it for good (`easews kinds Gateway`).
# `easews kinds {kinds}` explains the fields of a filter; `easews schema` is for editors.
#
# To enable a setting that is commented out without a space, remove its #.

kind: HTTPServer
name: web
port: {port}
# Only this machine can connect. Without an address, every host that reaches the port can.
address: 127.0.0.1
# Behind a load balancer or TLS terminator, name the proxies that report the client's address.
#trustedProxies: [10.0.0.0/8]
#clientAddressFrom: x-forwarded-for
# For https:// and wss://, write https: true, and the certificate's files: certFile, keyFile.
rules:
- paths:
  # The first match wins. `path` matches a complete path, `pathPrefix` its beginning.
  - pathPrefix: {path}
    backend: to-the-backend # the pipeline below
    clientMaxBodySize: -1 # required: a session has no limit here, the proxy has its own
---
kind: Pipeline
name: to-the-backend
{pipeline}"""

_WEBSOCKETS = """\
filters:
# A request goes through the filters in this order. Filters of your own are installed with pip.
# The proxy sends the client's address to the backend in X-Forwarded-For. To send more or less
# than that, use XForwarded, from the package easews-headers.
#- {{kind: XForwarded, name: forwarded, headers: [for, host, proto, port]}}
"""

_BOTH = """\
flow:
# A request goes through the filters in this order. One that asks for no WebSocket jumps to pages.
- filter: sockets
  jumpIf: {{notWebSocket: pages}}
- filter: pages
filters:
# Filters of your own are installed with pip. Both proxies send the client's address to the backend
# in X-Forwarded-For. To send more or less than that, use XForwarded, from easews-headers.
- kind: Proxy
  name: pages
  pools:
  - servers:
    - url: {server}{keep_host}
    # The largest body that a client may send. This is the default.
    #clientMaxBodySize: 4MiB
    # How long a server may take for each step. These are the defaults.
    #timeouts: {{connect: 5s, response: 60s, idle: 60s}}
"""

_WEBSOCKET_PROXY = """\
- kind: WebSocketProxy
  name: {name}
  pools:
  - servers:
    - url: {server}{keep_host}
    # Several servers share the sessions; if one cannot be reached, the next is tried.
    #- url: {scheme}://127.0.0.1:12346
    # Browsers may connect from pages of this host. List the hosts of other pages here.
    #originPatterns: ['*.example.org', 'localhost:*']
    # The largest message that a client may send; without it there is no limit.
    #clientMaxMsgSize: 1MiB
    # How much a client may send per second; without it there is no limit.
    #clientRateLimit: {{messages: 50, bytes: 256KiB}}
    # How long each step may take, and how idle and how old a session may be (0: no limit).
    # These are the defaults.
    #timeouts: {{connect: 5s, handshake: 10s, close: 5s, slowReader: 60s, idle: 0, maxAge: 0}}
    # Pings to a side that is silent, and how long it may take to answer. These are the defaults.
    #keepAlive: {{interval: 30s, timeout: 20s}}
"""


_KEEP_HOST = """
      # An application gets the browser's Host, which many compare with the Origin of a page.
      {mark}keepHost: true"""


class BadURL(ValueError):
    """The URL cannot be a backend's; the text says why, and what to write."""


class Starter(NamedTuple):
    """`text` is the config, in which the URL `gateway` leads to `backend`."""

    text: str
    gateway: str
    backend: str


def starter(url: str, file: str) -> Starter:
    """The config for the backend at `url`, to be kept in `file`. BadURL when it is none.

    The URL's path becomes the gateway's path, too: clients ask both for the same. An http:// or
    https:// URL is that of an application with pages and WebSockets, ws:// or wss:// that of
    WebSockets only.
    """
    parts = _checked(url)
    scheme = parts.scheme.lower()
    server, path = f"{scheme}://{parts.netloc.rstrip(':')}", parts.path or "/"
    # On one machine the two cannot share a port.
    port = 8081 if parts.port == 8080 else 8080
    pages = scheme in ("http", "https")
    gateway = f"{'http' if pages else 'ws'}://127.0.0.1:{port}{path}"
    backend = server + path
    filters = (_BOTH if pages else _WEBSOCKETS) + _WEBSOCKET_PROXY
    name = "sockets" if pages else "proxy"
    text = _TEMPLATE.format(
        kinds="Proxy" if pages else "WebSocketProxy",
        pipeline=filters.format(
            server=_scalar(server), keep_host=_keep_host(parts), scheme=scheme, name=name
        ),
        file=file,
        gateway=gateway,
        backend=backend,
        port=port,
        path=_scalar(unquote(path)),
        server=_scalar(server),
    )
    return Starter(text, gateway, backend)


def _checked(url: str) -> SplitResult:
    try:
        formats.url(url)
    except ValueError as error:
        wrong, *remedy = error.args
        raise BadURL("; ".join((wrong, *(remedy or (_meant(url),))))) from None
    if url.startswith(UNIX):
        raise BadURL(
            "a unix socket has no URL for clients; write it into the config in place of ws://"
        )
    parts = urlsplit(url)
    if parts.query:
        raise BadURL("it has a query, which clients send themselves; leave it out")
    return parts


def _keep_host(parts: SplitResult) -> str:
    """What stands below the URL of a server. One with an IP gets the client's Host in any case.

    On other machines the name may be the one by which a server chooses among its sites.
    """
    host = (parts.hostname or "").rstrip(".")
    if parse_ip(host) is not None:
        return ""
    return _KEEP_HOST.format(mark="" if host == "localhost" else "#")


def _meant(url: str) -> str:
    """What to write instead: the same with a scheme in front, if that is all it lacks."""
    with_scheme = f"ws://{url}"
    try:
        if "://" not in url:
            formats.url(with_scheme)
            return f"did you mean {with_scheme}?"
    except ValueError:
        pass
    return "write one such as ws://127.0.0.1:12345"


def _scalar(text: str) -> str:
    """`text` as YAML, in quotes where it has to be; $ is doubled, as it begins a variable."""
    return text if _plain(text) else json.dumps(text.replace("$", "$$"))
