"""What stands in front of HTTP on a connection: the header of the PROXY protocol.

The listener makes an `Arrival` only where something stands there; other connections are an
`HttpConnection` from the start.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from time import monotonic

import anyio

from ..addresses import Address, is_within
from ..net.proxyprotocol import ProxyHeader, parse_proxy_header
from ..net.waiting import wait_for
from ..pipeline.isolation import must_go_on
from .connection import HttpConnection
from .site import Site

log: logging.Logger = logging.getLogger("easews.server")

#: What is looked at in one go; a header is hardly ever larger.
_PEEK_SIZE = 4096


class NotLetIn(Exception):
    """The connection is closed without an answer; the text says why."""


class Arrival:
    """Owns `sock` until it is closed or an `HttpConnection`; `on_end` is called once, then."""

    __slots__ = ("_local", "_on_end", "_peer", "_site", "_sock")

    def __init__(
        self,
        sock: socket.socket,
        peer: Address,
        local: Address,
        site: Callable[[], Site],
        on_end: Callable[[], None],
    ) -> None:
        self._sock = sock
        self._peer = peer
        self._local = local
        self._site = site
        self._on_end = on_end

    async def serve(self) -> None:
        """Read what comes first, then serve the client until its connection ends."""
        connection = None
        try:
            connection = await self._enter()
        except NotLetIn as reason:
            log.warning("a connection from %s was closed: %s", self._peer, reason)
        except OSError:
            pass  # the client is gone
        except BaseException as error:
            if must_go_on(error):
                raise
            log.exception("the connection from %s failed", self._peer)
        finally:
            if connection is None:
                self._sock.close()
                self._on_end()
        if connection is not None:
            await connection.serve()

    async def _enter(self) -> HttpConnection:
        spec = self._site().spec
        peer, local = self._peer, self._local
        if spec.proxy_protocol:
            if not is_within(peer.host, spec.trusted_proxies):
                raise NotLetIn("with proxyProtocol only trustedProxies may connect")
            header = await read_proxy_header(self._sock, spec.header_timeout)
            peer, local = header.source or peer, header.destination or local
        return HttpConnection(self._sock, peer, local, self._site, self._on_end)


async def read_proxy_header(sock: socket.socket, timeout: float) -> ProxyHeader:
    """Receive a PROXY header, and nothing behind it: the next byte is the connection's first.

    NotLetIn when there is none within `timeout` seconds. OSError when the other end leaves.
    """
    until = monotonic() + timeout
    received = b""
    while True:
        try:
            seen = sock.recv(_PEEK_SIZE, socket.MSG_PEEK)
        except BlockingIOError:
            try:
                await wait_for(anyio.wait_readable, sock, until - monotonic())
            except TimeoutError:
                raise NotLetIn(f"no PROXY header within {timeout:g} s") from None
            continue
        if not seen:
            raise ConnectionAbortedError("the other end left before its PROXY header")
        try:
            header = parse_proxy_header(received + seen)
        except ValueError as error:
            raise NotLetIn(f"the PROXY header {error}") from None
        # Without a header all that was seen belongs to one.
        received += sock.recv(header.size - len(received) if header else len(seen))
        if header is not None:
            return header
