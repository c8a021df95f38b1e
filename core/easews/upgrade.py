"""Handing the client's connection over to a filter: the answer 101 (RFC 9110 §7.8).

A filter that has agreed on another protocol with its backend answers with an `Upgrade`. The
server writes the 101, takes its hands off the socket and calls `takeover` with the client's
`Connection`. Exactly one of `takeover` and `discard` is called for every `Upgrade`, also when
a later filter raises, the answer is replaced, or the client has left.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .http import Address, Headers


@dataclass(slots=True, eq=False)
class Connection:
    """The client's connection, now the caller's to read, write and close.

    `sock` is non-blocking; `tls` is None on a plain connection; `received` are bytes that the
    client sent behind its request. Whoever takes it over closes `sock` and then calls
    `release`: that is when the server's connection count and the filters' leases go down.
    """

    sock: socket.socket
    peer: Address
    received: bytes = b""
    tls: ssl.SSLObject | None = None
    on_release: Callable[[], None] | None = None

    def release(self) -> None:
        """The connection is over. Safe to call twice."""
        on_release, self.on_release = self.on_release, None
        if on_release is not None:
            on_release()


@dataclass(slots=True, eq=False)
class Upgrade:
    """The answer 101 with `headers`, and who goes on from there.

    `takeover(connection)` is awaited once the 101 is on its way; it may return at once and
    leave the connection to a service. `discard()` lets go of what the filter holds for the
    session (the backend's socket) when the 101 is not sent after all.
    """

    headers: Headers
    takeover: Callable[[Connection], Awaitable[None]]
    discard: Callable[[], None]
    _settled: bool = field(default=False, init=False)

    status = 101

    async def accept(self, connection: Connection) -> None:
        """The server's call: hand the connection over."""
        if self._settled:
            raise RuntimeError("this Upgrade was already taken over or discarded")
        self._settled = True
        await self.takeover(connection)

    def close(self) -> None:
        """The server's call: the 101 is not sent. Does nothing after `accept`."""
        if not self._settled:
            self._settled = True
            self.discard()
