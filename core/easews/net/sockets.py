"""Raw non-blocking sockets, awaited through anyio.

Streams cost more than what they carry here: a handshake is one read and one write. Every
function takes a non-blocking socket, and raises OSError when the other end is gone.
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
    """What has come in; b"" at the end of the stream. TimeoutError after `timeout` seconds.

    Does not let others have a turn when something is there: who asks again and again does that.
    """
    try:
        return sock.recv(_RECEIVED_AT_ONCE)
    except BlockingIOError:
        # A server near by has answered by the time that all others have had a turn, and letting
        # them costs a fraction of waiting for a descriptor.
        await checkpoint()
    while True:
        try:
            return sock.recv(_RECEIVED_AT_ONCE)
        except BlockingIOError:
            await _wait(anyio.wait_readable, sock, timeout)


async def send_all(sock: socket.socket, data: bytes, timeout: float = inf) -> None:
    """Send all of `data`. TimeoutError when nothing of it is taken for `timeout` seconds."""
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
        return  # so it is with a server on this machine, before anybody could have waited for it
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
    """Say that no more will come, read until the other end has said so too, then close.

    Closing at once while data is still coming makes the kernel send a reset, which takes our
    last answer with it (RFC 9112 §9.6).
    """
    try:
        sock.shutdown(socket.SHUT_WR)
        with anyio.move_on_after(seconds):
            while await receive(sock):
                await checkpoint()
    except OSError:
        pass  # the other end is gone: nothing to wait for
    finally:
        sock.close()


async def _wait(
    ready: Callable[[socket.socket], Awaitable[None]], sock: socket.socket, timeout: float
) -> None:
    """The time is only set when there is something to wait for: mostly there is not."""
    with anyio.move_on_after(timeout):
        await ready(sock)
        return
    raise TimeoutError(f"nothing moved within {timeout:g} s")


def quick(sock: socket.socket) -> socket.socket:
    """Make a TCP socket non-blocking, and send small messages without waiting (no Nagle)."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
