"""Connecting to a server: every address of its name is tried; then TLS, where the server has it."""

from __future__ import annotations

import os
import socket
from functools import partial
from math import inf
from time import monotonic

import anyio
from anyio import to_thread

from ...errors import ConnectError, ConnectTimeout
from ...http import Request
from ...net.proxyprotocol import proxy_header
from ...net.sockets import keep_alive
from ...net.tls import TlsWire
from ...net.tlshandshake import handshake
from ...net.waiting import gave_up
from ...net.wire import Wire
from ..servers import Server
from .racing import Address, first_connected
from .securing import system_tls, why_lost


async def dial(server: Server, timeout: float = inf, request: Request | None = None) -> Wire:
    """Connect to `server`: a connection, which the caller closes. It is for the client of
    `request`, as a server is told by the PROXY protocol where that is configured, or our own.

    All addresses of its name are tried, and the first that connects wins. ConnectError when none
    accepts the connection or there is no agreement on TLS. ConnectTimeout when none does within
    `timeout` seconds (including the look-up of the name) or until the kernel gives up, or when TLS
    takes too long.
    """
    sock = await _dial(server, timeout)
    if server.via.keep_alive is not None:
        keep_alive(sock, server.via.keep_alive)
    if server.via.announces:
        await _announce(sock, server, request)
    return await _secured(sock, server) if server.secure else sock


async def _announce(sock: socket.socket, server: Server, request: Request | None) -> None:
    ends = (request.client, request.local) if request is not None else ()
    try:
        # A socket that was connected just now has room for it.
        sock.send(proxy_header(server.via.announces, *ends))
    except OSError as error:
        sock.close()
        raise ConnectError(f"{server.url}: {error.strerror or error}") from None


async def _secured(sock: socket.socket, server: Server) -> TlsWire:
    via = server.via
    try:
        wire = (via.tls or system_tls()).over(sock, server.host)
        await handshake(wire, via.tls_timeout)
    except BaseException as error:
        sock.close()
        if not isinstance(error, OSError):
            raise
        kind = ConnectTimeout if gave_up(error) else ConnectError
        raise kind(f"{server.url}: {why_lost(error)}") from None
    return wire


async def _dial(server: Server, timeout: float) -> socket.socket:
    until = monotonic() + timeout
    # A literal needs no look-up, which costs a thread.
    addresses = [_literal(server)] if server.is_ip else await _addresses(server, timeout)
    if not addresses:
        raise ConnectError(f"{server.url}: its name has no address")
    try:
        return await first_connected(addresses, until - monotonic())
    except OSError as error:  # out of descriptors is one of them
        if gave_up(error):
            raise _too_late(server, timeout) from None
        kind = ConnectTimeout if isinstance(error, TimeoutError) else ConnectError
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise kind(f"{server.url}: {reason}") from None


def _too_late(server: Server, timeout: float) -> ConnectTimeout:
    return ConnectTimeout(f"{server.url}: no connection within {timeout:g} s")


async def _addresses(server: Server, timeout: float) -> list[Address]:
    """The addresses of a name."""
    with anyio.move_on_after(timeout):
        return await _look_up(server)
    raise _too_late(server, timeout)


def _literal(server: Server) -> Address:
    if server.is_unix:
        return socket.AF_UNIX, server.host
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    return family, (server.host, server.port)


async def _look_up(server: Server) -> list[Address]:
    try:
        # In a thread that may be left behind: a look-up cannot be cancelled.
        found = await to_thread.run_sync(
            partial(socket.getaddrinfo, server.host, server.port, type=socket.SOCK_STREAM),
            abandon_on_cancel=True,
        )
    except (OSError, UnicodeError) as error:
        raise ConnectError(f"{server.url}: its name cannot be resolved: {error}") from None
    return [(family, address) for family, _, _, _, address in found]
