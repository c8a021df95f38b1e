"""Several addresses of one name: the first that connects wins (RFC 8305, "happy eyeballs").

A name often has addresses of which one leads nowhere, as IPv6 does in many networks. Trying them
one after the other would cost a timeout each time.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import anyio

from ...net.sockets import configure, connect

#: What a socket is made for, and what `connect` takes, which differs by family.
Address = tuple[int, Any]

#: Seconds that an address has, before the next one is tried beside it (RFC 8305 §5).
STAGGER = 0.25


def interleaved(addresses: Sequence[Address]) -> list[Address]:
    """The families in turns, the first address first (RFC 8305 §4)."""
    family = addresses[0][0]
    preferred = [address for address in addresses if address[0] == family]
    others = [address for address in addresses if address[0] != family]
    pairs = zip_longest(preferred, others)
    return [address for pair in pairs for address in pair if address is not None]


async def connected(address: Address, timeout: float) -> socket.socket:
    """A socket that is connected to `address`. OSError when it cannot be, TimeoutError after
    `timeout` seconds.
    """
    family, where = address
    sock = configure(socket.socket(family, socket.SOCK_STREAM))
    try:
        await connect(sock, where, timeout)
    except BaseException:
        sock.close()
        raise
    return sock


async def first_connected(addresses: Sequence[Address], timeout: float) -> socket.socket:
    """A socket that is connected to one of `addresses`. The last OSError when there is none,
    TimeoutError after `timeout` seconds.
    """
    if len(addresses) == 1:  # nothing to wait for beside it
        return await connected(addresses[0], timeout)
    return await _Race(timeout).run(interleaved(addresses))


class _Race:
    def __init__(self, timeout: float) -> None:
        self._until = anyio.current_time() + timeout
        self._winner: socket.socket | None = None
        self._failure: OSError | None = None

    async def run(self, addresses: Sequence[Address]) -> socket.socket:
        try:
            async with anyio.create_task_group() as tasks:
                for address in addresses:
                    over = anyio.Event()
                    tasks.start_soon(self._try, address, over, tasks.cancel_scope)
                    with anyio.move_on_after(STAGGER):
                        await over.wait()
        except BaseException:
            if self._winner is not None:
                self._winner.close()
            raise
        if self._winner is not None:
            return self._winner
        assert self._failure is not None, "every address has failed"
        failure, self._failure = self._failure, None
        try:
            raise failure
        finally:
            del failure  # its traceback leads here: together they would be garbage

    async def _try(self, address: Address, over: anyio.Event, everybody: anyio.CancelScope) -> None:
        try:
            sock = await connected(address, self._until - anyio.current_time())
        except OSError as error:
            self._failure = error.with_traceback(None)
            over.set()
            return
        if self._winner is None:
            self._winner = sock
            everybody.cancel()
        else:
            sock.close()
