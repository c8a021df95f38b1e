"""Sockets: their options, and connecting one."""

from __future__ import annotations

import errno
import os
import socket
from math import inf
from typing import Any

import anyio

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
