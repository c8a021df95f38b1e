"""Raw non-blocking sockets, awaited through anyio.

Streams cost more than what they carry here: a handshake is one read and one write. Every
function takes a non-blocking socket, and raises OSError when the other end is gone.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from math import inf

import anyio
from anyio.lowlevel import checkpoint


async def receive(sock: socket.socket, size: int = 65536) -> bytes:
    """What has come in, at most `size` bytes; b"" at the end of the stream.

    Does not let others have a turn when something is there: who asks again and again does that.
    """
    while True:
        try:
            return sock.recv(size)
        except BlockingIOError:
            await anyio.wait_readable(sock)


async def send_all(sock: socket.socket, data: bytes, stalled: float = inf) -> None:
    """Send all of `data`. TimeoutError when nothing of it is taken for `stalled` seconds."""
    rest = memoryview(data)
    while True:
        with suppress(BlockingIOError):
            rest = rest[sock.send(rest) :]
        if not rest:
            return
        with anyio.fail_after(None if stalled == inf else stalled):
            await anyio.wait_writable(sock)


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


def quick(sock: socket.socket) -> socket.socket:
    """Make `sock` non-blocking, and send small messages without waiting (no Nagle)."""
    sock.setblocking(False)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
