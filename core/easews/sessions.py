"""What outlives a request: open sessions, and how a client's connection becomes one.

A filter that has agreed on another protocol with its backend answers with an `Upgrade`. The
server sends the answer and calls `start` with the client's `Connection`. The filter relays, and
reports to the connection when the session opens and how it ended. An open session is listed in
`Sessions`, counted, logged, and can be closed from there.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from .addresses import Peers
from .http import Headers
from .messages import Data, MaybeLater, Message, Reads, Sender
from .net.wire import Wire
from .notes import Notes

log: logging.Logger = logging.getLogger("easews.sessions")

Side = Literal["client", "backend", "proxy"]

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Route(NamedTuple):
    """The way that a request took through the config.

    server           the name of the `HTTPServer`
    path             the `path`, `pathPrefix` or `pathRegexp` that matched, as in the config
    pipeline         the name of the `Pipeline`
    key              identifies the path entry: entries with the same `path` have different keys,
                     and an entry keeps its key when a new config replaces the served one
    trusted_proxies  the server's `trustedProxies`
    body_limit       the path's `clientMaxBodySize`; -1 is none
    forwarded_for    the server's `xForwardedFor`: whether proxies add the peer to X-Forwarded-For
    """

    server: str = ""
    path: str = ""
    pipeline: str = ""
    key: str = ""
    trusted_proxies: tuple[Peers, ...] = ()
    body_limit: int = -1
    forwarded_for: bool = True


class Opening(NamedTuple):
    """What is known of a session when it opens, and does not change.

    id          the id of the request
    client      the client's address
    route       how the request came to its pipeline
    backend     `Upgrade.backend`
    handshake   seconds from the request to the answer
    opened      when it opened, by `time.time`
    generation  the number of the config that was served then: 1 for the first
    labels      those of the request's context (user, tenant …)
    path        the path of the request, as the client wrote it, without the query; the path in
                the config is `route.path`
    """

    id: str
    client: str = ""
    route: Route = Route()
    backend: str = ""
    handshake: float = 0.0
    opened: float = 0.0
    generation: int = 0
    labels: Mapping[str, str] = _NO_LABELS
    path: str = ""


@dataclass(slots=True)
class Traffic:
    """What one side has sent.

    messages  data messages
    bytes     bytes on the wire, frame headers included
    rtt       seconds from our last ping to its pong; None when there was none
    """

    messages: int = 0
    bytes: int = 0
    rtt: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended.

    by            who closed first
    code          the code of that Close: 1006 when the side left without a Close, 1005 when its
                  Close had no code (RFC 6455 §7.1.5)
    cause         why, in a few words
    duration      how long it was open, in seconds
    from_client   what the client has sent
    from_backend  what the backend has sent
    """

    by: Side
    code: int
    cause: str
    duration: float
    from_client: Traffic = field(default_factory=Traffic)
    from_backend: Traffic = field(default_factory=Traffic)


class Frame(NamedTuple):
    """A WebSocket frame as one side has sent it (RFC 6455 §5.2), for those who look on.

    at          when it came, by `time.time`
    sender      who has sent it
    opcode      0 continuation, 1 text, 2 binary, 8 Close, 9 ping, 10 pong
    fin         whether it is the last of its message
    size        bytes of its payload, as they were sent
    compressed  whether it begins a compressed message (RFC 7692 §6)
    masked      whether its payload is masked, as those of clients are
    code        that of a Close, None where it has none
    payload     the text that it begins with, up to 1 KiB; None where none is shown
    """

    at: float
    sender: Sender
    opcode: int
    fin: bool
    size: int
    compressed: bool = False
    masked: bool = False
    code: int | None = None
    payload: str | None = None


class Session(Protocol):
    """One open session, as the engine and other filters see it.

    No method raises, and only `sleep` waits. Call them in the event loop.
    """

    @property
    def opening(self) -> Opening:
        """What was known when it opened."""

    @property
    def held(self) -> int:
        """How many bytes are held for peers that read slowly."""

    def traffic(self) -> tuple[Traffic, Traffic]:
        """What the client and the backend have sent so far."""

    def close(self, code: int, reason: str) -> None:
        """Send Close to both sides at the next frame boundary, then end the session.

        Returns at once. `Sessions.on_end` reports when the session is over.
        """

    def expire(self, at: float, code: int, reason: str) -> None:
        """Close the session at the time `at`, by `time.time`. The earliest such time counts."""

    def ping(self) -> None:
        """Send both sides a ping soon; `Traffic.rtt` then has the time of their pongs."""

    @property
    def notes(self) -> Notes:
        """What filters keep for this session, one value of each class. It begins with what they
        have put into the notes of the handshake's context.
        """

    def send_to_client(self, data: Data) -> None:
        """Send the client a message of your own: text for str, binary for bytes.

        It goes out at the end of the message that is being sent, and no filter reads it. A client
        that does not take what it is sent so gets Close 1008. After the session's end it does
        nothing.
        """

    def send_to_backend(self, data: Data) -> None:
        """The same to the backend."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward. In a test it goes as the test says."""

    async def sleep(self, seconds: float) -> None:
        """Wait by that clock, as an async hook may. The sender is not read meanwhile."""

    def tap(
        self, tell: Callable[[Frame], None], payload: bool = False
    ) -> Callable[[], None] | None:
        """Call `tell` with each frame that either side sends from now on, before it goes on and
        before filters read it. `payload`: also with the text of messages that are not compressed.

        Returns what ends the tap, or None when the frames of this session cannot be told. As long
        as there is a tap, the session costs several times as much. `tell` must not raise, nor do
        anything to the session.
        """


class Hooks(Protocol):
    """The hooks of the filters that a session's handshake has passed, as one.

    Whoever relays a session calls them. Nothing that a filter raises comes out of them.
    """

    @property
    def tick(self) -> float:
        """Seconds from one `ticked` to the next; infinity when nobody wants it."""

    def reads(self, sender: Sender) -> Reads | None:
        """What is read of the messages of `sender`; None: nothing."""

    def opened(self, session: Session) -> Awaitable[None] | None:
        """It has opened: to be awaited before the first `message`, if there is what to."""

    def message(self, session: Session, message: Message) -> MaybeLater:
        """What goes on in place of `message`: itself when nobody has changed it.

        At once, or to be awaited; until then no other message of its sender may be given.
        """

    def ticked(self, session: Session) -> Awaitable[None] | None:
        """`tick` seconds have passed."""

    def ended(self, session: Session, ending: Ending) -> Awaitable[None] | None:
        """It is over."""


class Sessions:
    """The open sessions of this process, to count, to iterate over and to listen to.

    on_open  functions that are called with each session that opens
    on_end   functions that are called with each session that is over, and its `Ending`

    When one of these functions raises, that is logged, and the others are called all the same.
    on_move  functions that are called with each session that goes on in another process
    """

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._of_backend: Counter[str] = Counter()
        self.on_open: list[Callable[[Session], None]] = []
        self.on_end: list[Callable[[Session, Ending], None]] = []

    def get(self, id: str) -> Session | None:
        self.on_move: list[Callable[[Session], None]] = []
        """The open session with this id, or None."""
        return self._open.get(id)

    def count(self, backend: str) -> int:
        """How many sessions are open with `backend`, under whichever config they opened."""
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
        """A session has begun. `Connection.opened` calls this."""
        self._open[session.opening.id] = session
        self._of_backend[session.opening.backend] += 1
        for listener in self.on_open:
            _tell(listener, session)

    def ended(self, session: Session, ending: Ending) -> None:
        """A session is over, and both its connections are closed. `Connection.over` calls this."""
        self._take_out(session)
        for listener in self.on_end:
            _tell(listener, session, ending)

    def forget(self, session: Session) -> None:
        """A session goes on in another process. `Connection.forget` calls this."""
        self._take_out(session)

    def _take_out(self, session: Session) -> None:
        for listener in self.on_move:
            _tell(listener, session)
        backend = session.opening.backend
        del self._open[session.opening.id]
        self._of_backend[backend] -= 1
        if not self._of_backend[backend]:
            del self._of_backend[backend]  # backends come and go


def _tell(listener: Callable[..., None], *news: Any) -> None:
    try:
        listener(*news)
    except Exception:
        log.exception("%r, which listens to sessions, raised", listener)


class Lease(Protocol):
    """What is used for as long as a session is open."""

    def over(self) -> None:
        """The session is over."""


class Connection:
    """The client's connection, handed over to a filter to read, write and close.

    wire      what to read from and write to, non-blocking
    opening   what is known of the session
    received  bytes that the client has sent behind its request
    hooks     what filters want to hear of the session, and which of its messages they read
    notes     those of the handshake's context, for `Session.notes`, where there are `hooks`

    The filter has to make two calls: `opened` when the session begins, and `over`, once, when
    `wire` is closed. The server's count of connections, the life of the filters, the log and
    `Sessions` depend on them.
    """

    __slots__ = (
        "_lease",
        "_release",
        "_session",
        "_sessions",
        "hooks",
        "notes",
        "opening",
        "received",
        "wire",
    )

    def __init__(
        self,
        wire: Wire,
        opening: Opening,
        received: bytes = b"",
        *,
        sessions: Sessions | None = None,
        release: Callable[[], None] | None = None,
        hooks: Hooks | None = None,
        notes: Notes | None = None,
    ) -> None:
        self.hooks: Hooks | None = hooks
        self.notes: Notes | None = notes
        self.wire: Wire = wire
        self.opening: Opening = opening
        self.received: bytes = received
        self._sessions = Sessions() if sessions is None else sessions
        self._release = release
        self._lease: Lease | None = None
        self._session: Session | None = None

    def opened(self, session: Session) -> None:
        """The session has begun; its `opening` is this connection's."""
        self._session = session
        self._sessions.opened(session)

    def use(self, lease: Lease | None) -> None:
        """The session uses `lease` up to its end. For the engine."""
        self._lease = lease

    def over(self, ending: Ending) -> None:
        """The session has ended and `wire` is closed. A second call does nothing."""
        session, self._session = self._session, None
        if session is not None:
            self._sessions.ended(session, ending)
        self._let_go()

    def forget(self) -> None:
        """The session goes on in another process, and `wire` is closed here: see
        `Service.forget`. It takes the place of `over`.
        """
        session, self._session = self._session, None
        if session is not None:
            self._sessions.forget(session)
        self._let_go()

    def _let_go(self) -> None:
        release, self._release = self._release, None
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.over()
        if release is not None:
            release()


@dataclass(slots=True, eq=False)
class Upgrade:
    """The answer that switches to another protocol (RFC 9110 §7.8).

    headers   end-to-end headers; the server adds those that its version of HTTP needs to switch
    protocol  the protocol, such as ``websocket``
    backend   names the other end of the session, for the log and for `Sessions.count`
    start     is called with the client's connection once the answer is on its way: it leaves the
              connection to a service and returns
    discard   is called when the protocol is not switched: it closes what the filter holds for
              the session, such as the backend's socket
    lease     what the session uses up to its end, such as an `Attempt`

    Exactly one of `start` and `discard` is called for every Upgrade, also when a later filter
    raises, the answer is replaced, or the client has left. Both may be async. The lease is over
    in any case: with the session, or after `discard`.
    """

    headers: Headers
    protocol: str
    backend: str
    start: Callable[[Connection], Awaitable[None] | None]
    discard: Callable[[], Awaitable[None] | None]
    lease: Lease | None = None
    _settled: bool = field(default=False, init=False)

    status = 101

    async def accept(self, connection: Connection) -> None:
        """Call `start`. For the engine. Raises what `start` raises."""
        if self._settled:
            raise RuntimeError("this Upgrade was already started or discarded")
        self._settled = True
        connection.use(self.lease)
        if (starting := self.start(connection)) is not None:
            await starting

    @property
    def held(self) -> bool:
        """Whether `aclose` has anything to do."""
        return not self._settled

    async def aclose(self) -> None:
        """Call `discard`, unless `accept` was called. For the engine."""
        if not self._settled:
            self._settled = True
            try:
                if (discarding := self.discard()) is not None:
                    await discarding
            finally:
                if self.lease is not None:
                    self.lease.over()
