"""Raw non-blocking sockets, awaited through anyio.

A handshake is one read and one write, and anyio's streams cost more than that. Every function
takes a non-blocking socket and raises OSError when the connection is lost.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

_RECEIVED_AT_ONCE = 65536


async def receive(sock: socket.socket, timeout: float = inf) -> bytes:
    """Received bytes; b"" at the end of the stream. TimeoutError after `timeout` seconds.

    Does not yield to the event loop when data is ready. Callers that loop must yield themselves.
    """
    try:
        return sock.recv(_RECEIVED_AT_ONCE)
    except BlockingIOError:
        # A nearby server has usually answered after one pass of the event loop, and one pass is
        # cheaper than registering the descriptor.
        await checkpoint()
    while True:
        try:
            return sock.recv(_RECEIVED_AT_ONCE)
        except BlockingIOError:
            await _wait(anyio.wait_readable, sock, timeout)


async def send_all(sock: socket.socket, data: bytes, timeout: float = inf) -> None:
    """Send all of `data`. TimeoutError when no byte can be sent for `timeout` seconds."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[sock.send(rest) :]
        except BlockingIOError:
            await _wait(anyio.wait_writable, sock, timeout)


async def connect(sock: socket.socket, address: Any, timeout: float = inf) -> None:
    """Connect `sock`. TimeoutError after `timeout` seconds."""
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS and _is_connected(sock):
        return  # a server on this machine: waiting would only cost time
    if code == errno.EINPROGRESS:
        await _wait(anyio.wait_writable, sock, timeout)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


async def linger(sock: socket.socket, seconds: float) -> None:
    """End our side of the stream, discard data until the other end does the same, then close.

    Closing at once while data is still coming makes the kernel send a reset, which may destroy
    our last answer (RFC 9112 §9.6).
    """
    try:
        sock.shutdown(socket.SHUT_WR)
        with anyio.move_on_after(seconds):
            while await receive(sock):
                await checkpoint()
    except OSError:
        pass  # the connection is lost: there is nothing to wait for
    finally:
        sock.close()


async def _wait(
    ready: Callable[[socket.socket], Awaitable[None]], sock: socket.socket, timeout: float
) -> None:
    """The timeout is only set up here, because most calls never wait."""
    with anyio.move_on_after(timeout):
        await ready(sock)
        return
    raise TimeoutError(f"nothing moved within {timeout:g} s")


def quick(sock: socket.socket) -> socket.socket:
    """Make a TCP socket non-blocking, and have it send small messages at once (no Nagle)."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
