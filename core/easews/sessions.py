"""Every open session of the process: findable by id, closable from outside, counted.

A filter that takes a connection over tells `Sessions` when its session opens and how it
ended. The access log listens; drain and, later, an admin API walk over `Sessions`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from .addresses import Address
from .http import Headers

Side = Literal["client", "backend", "proxy"]


@dataclass(slots=True)
class Traffic:
    """What one side has sent: data messages, and bytes on the wire (frame headers included).

    `rtt` is how many seconds its pong to our last ping took, None when there was none.
    """

    messages: int = 0
    bytes: int = 0
    rtt: float | None = None


class Birth(NamedTuple):
    """What is known of a session from its handshake on, and does not change.

    `opened` is a reading of `time.time`, `handshake` is in seconds.
    """

    id: str
    client: str
    route: str
    pipeline: str
    server: str
    handshake: float
    opened: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended: who closed first, with which code, and why.

    `code` is the Close code of whoever closed first, 1006 where a side left without a Close
    and 1005 where its Close had none (RFC 6455 §7.1.5).
    """

    by: Side
    code: int
    cause: str
    duration: float
    from_client: Traffic = field(default_factory=Traffic)
    from_backend: Traffic = field(default_factory=Traffic)


class Session(Protocol):
    """One open session, as the engine sees it."""

    @property
    def birth(self) -> Birth: ...

    def traffic(self) -> tuple[Traffic, Traffic]:
        """What client and backend have sent so far."""

    def close(self, code: int, reason: str) -> None:
        """Send Close to both sides as soon as a frame boundary allows it, then end.

        Returns at once; the session is over when `Sessions.ended` was called for it.
        """


class Sessions:
    """The open sessions of this process."""

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self.on_end: list[Callable[[Birth, Ending], None]] = []

    def opened(self, session: Session) -> None:
        """A session has begun. Its `birth.id` is its key from here on."""
        self._open[session.birth.id] = session

    def ended(self, session: Session, ending: Ending) -> None:
        """A session is over; both its sockets are closed."""
        del self._open[session.birth.id]
        for listener in self.on_end:
            listener(session.birth, ending)

    def get(self, id: str) -> Session | None:
        return self._open.get(id)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)


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
