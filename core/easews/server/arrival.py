"""What comes before HTTP on a connection: the PROXY protocol, whether the client may have one
more, and TLS.

The listener makes an `Arrival` only where the config asks for something of it (`Site.plain`);
other connections are an `HttpConnection` from the start.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection
from math import inf
from time import monotonic

import anyio

from ..addresses import Address, Peers, is_within, parse_ip
from ..net.proxyprotocol import ProxyHeader, parse_proxy_header
from ..net.waiting import wait_for
from ..net.wire import Wire
from ..pipeline.isolation import must_go_on
from .clients import ClientCounts
from .connection import HttpConnection
from .site import Site
from .tls import HandshakeError, secured

log: logging.Logger = logging.getLogger("easews.server")

#: What is looked at in one go; a header is hardly ever larger.
_PEEK_SIZE = 4096


class NotLetIn(Exception):
    """The connection is closed without an answer; the text says why."""


class Arrival:
    """Owns `sock` until it is closed or an `HttpConnection`; `on_end` is called once, then."""

    __slots__ = ("_clients", "_local", "_on_end", "_peer", "_site", "_sock")

    def __init__(
        self,
        sock: socket.socket,
        peer: Address,
        local: Address,
        site: Callable[[], Site],
        on_end: Callable[[], None],
        clients: ClientCounts,
    ) -> None:
        self._sock = sock
        self._peer = peer
        self._local = local
        self._site = site
        self._on_end = on_end
        self._clients = clients

    async def serve(self) -> None:
        """Read what comes first, then serve the client until its connection ends."""
        connection = None
        try:
            connection = await self._enter()
        except NotLetIn as reason:
            log.warning("a connection from %s was closed: %s", self._peer, reason)
        except HandshakeError as reason:
            log.info("a connection from %s was closed: %s", self._peer, reason)
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
        site = self._site()
        spec, tls = site.spec, site.tls
        peer, local = self._peer, self._local
        if spec.proxy_protocol:
            if not is_within(peer.host, spec.trusted_proxies):
                raise NotLetIn("with proxyProtocol only trustedProxies may connect")
            header = await read_proxy_header(self._sock, spec.limits.header_timeout)
            peer, local = header.source or peer, header.destination or local
        if spec.max_connections_per_client is not None:
            self._count(peer.host, spec.max_connections_per_client, spec.trusted_proxies)
        self._peer = peer  # in the log, if there is no agreement
        scheme, certificate = "http", None
        wire: Wire = self._sock
        if tls is not None:
            scheme = "https"
            wire, certificate = await secured(self._sock, tls)
        if self._site().spec.tls != spec.tls:
            raise NotLetIn("a new config asks for other TLS than it has come with")
        return HttpConnection(wire, peer, local, self._site, self._on_end, scheme, certificate)

    def _count(self, host: str, most: int, trusted: Collection[Peers]) -> None:
        """Proxies speak for many clients, and those of unix sockets have no address."""
        if not _counts(host, trusted):
            return
        if not self._clients.enter(host, most):
            if self._clients.is_first_refusal(host):
                raise NotLetIn(f"{host} has {most} connections, which is maxConnectionsPerClient")
            raise ConnectionAbortedError("one more, as the log has it already")
        self._on_end = _leaving(self._clients, host, self._on_end)


def counted(
    clients: ClientCounts, host: str, trusted: Collection[Peers], ended: Callable[[], None]
) -> Callable[[], None]:
    """Count a connection of `host` that was let in before. Call what is returned in place of
    `ended`.
    """
    if not _counts(host, trusted):
        return ended
    clients.enter(host, inf)
    return _leaving(clients, host, ended)


def _counts(host: str, trusted: Collection[Peers]) -> bool:
    return parse_ip(host) is not None and not is_within(host, trusted)


def _leaving(clients: ClientCounts, host: str, ended: Callable[[], None]) -> Callable[[], None]:
    def leave() -> None:
        clients.leave(host)
        ended()

    return leave


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
