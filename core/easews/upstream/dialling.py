"""Connecting to a server: a raw non-blocking socket, every address of its name tried."""

from __future__ import annotations

import errno
import os
import socket
from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from ..errors import ConnectError
from ..sockets import quick
from .pool import Server

_Address = tuple[Any, ...]  # what `socket.connect` takes: it differs by family


async def dial(server: Server) -> socket.socket:
    """A connected non-blocking socket, the caller's to close.

    ConnectError when no address of the server takes the connection. There is no time limit
    here: the caller puts one around.
    """
    failure = "its name has no address"
    for family, address in await _addresses(server):
        try:
            return await _connected(family, address)
        except OSError as error:  # out of descriptors is one of them
            failure = os.strerror(error.errno) if error.errno else str(error)
    raise ConnectError(f"{server.url}: {failure}")


async def _addresses(server: Server) -> list[tuple[int, _Address]]:
    """(family, address) pairs. A literal needs no look-up, which costs a thread."""
    if not server.is_ip:
        return await _look_up(server)
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    return [(family, (server.host, server.port))]


async def _look_up(server: Server) -> list[tuple[int, _Address]]:
    try:
        # In a thread that may be left behind: a look-up cannot be cancelled.
        found = await to_thread.run_sync(
            partial(socket.getaddrinfo, server.host, server.port, type=socket.SOCK_STREAM),
            abandon_on_cancel=True,
        )
    except (OSError, UnicodeError) as error:
        raise ConnectError(f"{server.url}: its name cannot be resolved: {error}") from None
    return [(family, address) for family, _, _, _, address in found]


async def _connected(family: int, address: _Address) -> socket.socket:
    sock = quick(socket.socket(family, socket.SOCK_STREAM))
    try:
        await _connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(sock: socket.socket, address: _Address) -> None:
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS and _is_connected(sock):
        return  # so it is with a server on this machine, before anybody could have waited for it
    if code == errno.EINPROGRESS:
        await anyio.wait_writable(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
