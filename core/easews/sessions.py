"""What outlives a request: open sessions, and how a client's connection becomes one.

A filter that has agreed on another protocol with its backend answers with an `Upgrade`. The
server writes the answer and calls `start` with the client's `Connection`; the filter relays, and
tells the connection when its session opens and how it ended. From then on the session is found
in `Sessions`, counted, logged, and closable from outside.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from .addresses import Network
from .http import Headers
from .net.wire import Wire

log: logging.Logger = logging.getLogger("easews.sessions")

Side = Literal["client", "backend", "proxy"]

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Route(NamedTuple):
    """How a request came to its pipeline: names from the config, for logs and filters.

    `key` names the very path entry: two rules with the same `path` have different keys, and the
    same entry has the same key in the next config.
    """

    server: str = ""
    path: str = ""
    pipeline: str = ""
    key: str = ""
    trusted_proxies: tuple[Network, ...] = ()


class Opening(NamedTuple):
    """What is known of a session when it opens, and does not change.

    `id` is the id of the request, `client` the client's address, `backend` what the filter said
    in its `Upgrade`. `handshake` is how many seconds passed from the request to the answer,
    `opened` a reading of `time.time`. `generation` counts the configs that were served since the
    start, `labels` are those of the request's context (user, tenant …).
    """

    id: str
    client: str = ""
    route: Route = Route()
    backend: str = ""
    handshake: float = 0.0
    opened: float = 0.0
    generation: int = 0
    labels: Mapping[str, str] = _NO_LABELS


@dataclass(slots=True)
class Traffic:
    """What one side has sent: data messages, and bytes on the wire (frame headers included).

    `rtt` is how many seconds its pong to our last ping took, None when there was none.
    """

    messages: int = 0
    bytes: int = 0
    rtt: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended: who closed first, with which code, and why.

    `code` is the Close code of whoever closed first, 1006 where a side left without a Close
    and 1005 where its Close had none (RFC 6455 §7.1.5). `duration` is in seconds.
    """

    by: Side
    code: int
    cause: str
    duration: float
    from_client: Traffic = field(default_factory=Traffic)
    from_backend: Traffic = field(default_factory=Traffic)


class Session(Protocol):
    """One open session, as the engine and other filters see it. No call waits or raises."""

    @property
    def opening(self) -> Opening: ...

    @property
    def held(self) -> int:
        """How many bytes are held for peers that are slow to take them."""

    def traffic(self) -> tuple[Traffic, Traffic]:
        """What client and backend have sent so far."""

    def close(self, code: int, reason: str) -> None:
        """Send Close to both sides as soon as a frame boundary allows it, then end.

        Returns at once; the session is over when the listeners of `Sessions.on_end` were told.
        """

    def expire(self, at: float, code: int, reason: str) -> None:
        """Have the session closed at `at`, a reading of `time.time`. The earliest time counts."""

    def ping(self) -> None:
        """Send both sides a ping soon; `traffic` then shows how long their pongs took."""


class Sessions:
    """The open sessions of this process.

    `on_open` are called with each session that opens, `on_end` with each that is over and its
    `Ending`. A listener that raises is logged; the others are told all the same.
    """

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._of_backend: Counter[str] = Counter()
        self.on_open: list[Callable[[Session], None]] = []
        self.on_end: list[Callable[[Session, Ending], None]] = []

    def get(self, id: str) -> Session | None:
        """The open session with this id, or None."""
        return self._open.get(id)

    def count(self, backend: str) -> int:
        """How many sessions are open with `backend`, whatever config they opened under."""
        return self._of_backend[backend]

    def matching(self, **labels: str) -> list[Session]:
        """The open sessions that have all these labels."""
        wanted = labels.items()
        return [session for session in self if wanted <= session.opening.labels.items()]

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, session: Session) -> None:
        """The connection's call: a session has begun."""
        self._open[session.opening.id] = session
        self._of_backend[session.opening.backend] += 1
        for listener in self.on_open:
            _tell(listener, session)

    def ended(self, session: Session, ending: Ending) -> None:
        """The connection's call: a session is over, and both its connections are closed."""
        backend = session.opening.backend
        del self._open[session.opening.id]
        self._of_backend[backend] -= 1
        if not self._of_backend[backend]:
            del self._of_backend[backend]  # backends come and go
        for listener in self.on_end:
            _tell(listener, session, ending)


def _tell(listener: Callable[..., None], *news: Any) -> None:
    try:
        listener(*news)
    except Exception:
        log.exception("%r, which listens to sessions, raised", listener)


class Connection:
    """The client's connection, now the filter's to read, write and close.

    `wire` is non-blocking; `received` are bytes that the client has sent behind its request.
    Whoever gets it owes two calls: `opened` when the session begins, and `over`, once, when
    `wire` is closed. The server's count of connections, the filters' holders, the log and
    `Sessions` hang on these two.
    """

    __slots__ = ("_release", "_session", "_sessions", "opening", "received", "wire")

    def __init__(
        self,
        wire: Wire,
        opening: Opening,
        received: bytes = b"",
        *,
        sessions: Sessions | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.wire: Wire = wire
        self.opening: Opening = opening
        self.received: bytes = received
        self._sessions = Sessions() if sessions is None else sessions
        self._release = release
        self._session: Session | None = None

    def opened(self, session: Session) -> None:
        """The session has begun; its `opening` is this connection's."""
        self._session = session
        self._sessions.opened(session)

    def over(self, ending: Ending) -> None:
        """The session has ended and `wire` is closed. A second call does nothing."""
        session, self._session = self._session, None
        release, self._release = self._release, None
        if session is not None:
            self._sessions.ended(session, ending)
        if release is not None:
            release()


@dataclass(slots=True, eq=False)
class Upgrade:
    """The answer that switches to another protocol (RFC 9110 §7.8), and who goes on from there.

    `headers` are end-to-end: the server adds what its version of HTTP needs to switch to
    `protocol`. `backend` names whom the session is with, for logs and counts.

    Exactly one of `start` and `discard` is called for every Upgrade, also when a later filter
    raises, the answer is replaced, or the client has left. `start(connection)` is called once
    the answer is on its way; it leaves the connection to a service and returns. `discard()` lets
    go of what the filter holds for the session, such as the backend's socket. Both may be async.
    """

    headers: Headers
    protocol: str
    backend: str
    start: Callable[[Connection], Awaitable[None] | None]
    discard: Callable[[], Awaitable[None] | None]
    _settled: bool = field(default=False, init=False)

    status = 101

    async def accept(self, connection: Connection) -> None:
        """The server's call: hand the connection over. Raises what `start` raises."""
        if self._settled:
            raise RuntimeError("this Upgrade was already started or discarded")
        self._settled = True
        if (starting := self.start(connection)) is not None:
            await starting

    @property
    def held(self) -> bool:
        """Whether there is anything that `aclose` would let go of."""
        return not self._settled

    async def aclose(self) -> None:
        """The engine's call: the protocol is not switched. Does nothing after `accept`."""
        if not self._settled:
            self._settled = True
            if (discarding := self.discard()) is not None:
                await discarding
