"""Reading and writing a `Wire`, awaited through anyio.

Streams cost more than what they carry here: a handshake is one read and one write. Every
function raises OSError when the other end is gone.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from .wire import Wire

READ_SIZE = 65536


async def receive(wire: Wire, timeout: float = inf) -> bytes:
    """What has come in; b"" at the end of the stream. TimeoutError after `timeout` seconds.

    Does not yield to the event loop when data is there: callers that loop must yield themselves.
    """
    try:
        return wire.recv(READ_SIZE)
    except BlockingIOError:
        # A nearby server has usually answered after one pass of the event loop, and one pass is
        # cheaper than registering the descriptor.
        await checkpoint()
    while True:
        try:
            return wire.recv(READ_SIZE)
        except BlockingIOError:
            await wait_for(anyio.wait_readable, wire, timeout)


async def send_all(wire: Wire, data: bytes, timeout: float = inf) -> None:
    """Send all of `data`. TimeoutError when none of it is taken for `timeout` seconds."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[wire.send(rest) :]
        except BlockingIOError:
            await wait_for(anyio.wait_writable, wire, timeout)


async def linger(wire: Wire, seconds: float) -> None:
    """Say that no more will come, and read until the other end has said so too.

    Closing at once while data is still coming makes the kernel send a reset, which takes our
    last answer with it (RFC 9112 §9.6).
    """
    try:
        with anyio.move_on_after(seconds):
            await _end(wire)
            while await receive(wire):
                await checkpoint()
    except OSError:
        pass  # the other end is gone: nothing to wait for


async def _end(wire: Wire) -> None:
    while True:
        try:
            return wire.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            await anyio.wait_writable(wire)


async def wait_for(ready: Callable[[Any], Awaitable[None]], wire: Wire, timeout: float) -> None:
    """Await `ready(wire)`. TimeoutError after `timeout` seconds.

    The timer is only set here, where there is something to wait for: mostly there is not.
    """
    with anyio.move_on_after(timeout):
        await ready(wire)
        return
    raise TimeoutError(f"nothing moved within {timeout:g} s")


def gave_up(error: OSError) -> bool:
    """Whether a `timeout` from here is over. The kernel's ETIMEDOUT is a TimeoutError too: with
    that the connection is lost, as by a reset.
    """
    return isinstance(error, TimeoutError) and not error.errno
