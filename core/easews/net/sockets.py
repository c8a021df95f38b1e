"""Sockets: their options, and connecting one."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import anyio

from ..addresses import UNIX, Address
from .waiting import wait_for


async def connect(sock: socket.socket, address: Any, timeout: float = inf) -> None:
    """Connect a non-blocking socket. OSError when it cannot be connected, TimeoutError after
    `timeout` seconds.
    """
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS and _is_connected(sock):
        return  # a server on this machine: it is connected before anybody could have waited
    if code == errno.EINPROGRESS:
        await wait_for(anyio.wait_writable, sock, timeout)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.send(b"")  # OSError with its reason when the connection was refused
    except BlockingIOError:
        return False
    return True


def configure(sock: socket.socket) -> socket.socket:
    """Make a socket non-blocking, and send small messages over TCP without waiting (no Nagle)."""
    sock.setblocking(False)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def bound_address(sock: socket.socket) -> Address:
    """Where a listening socket listens."""
    name = sock.getsockname()
    return Address(f"{UNIX}{name}") if isinstance(name, str) else Address(*name[:2])


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Probes of the kernel, by which a vanished peer is noticed on an idle TCP connection.

    idle      seconds without traffic before the first one
    interval  seconds from one to the next
    count     how many in a row have to stay unanswered
    """

    idle: float = 60.0
    interval: float = 10.0
    count: int = 6


# On macOS the first one has another name.
_IDLE = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)


def keep_alive(sock: socket.socket, probes: KeepAlive) -> None:
    """Have the kernel send them. It counts in whole seconds."""
    if sock.family == socket.AF_UNIX:
        return  # its peer cannot vanish
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if _IDLE is not None:
        sock.setsockopt(socket.IPPROTO_TCP, _IDLE, ceil(probes.idle))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ceil(probes.interval))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes.count)
