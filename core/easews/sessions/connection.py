"""How a client's connection becomes a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..net.wire import Wire
from ..notes import Notes
from .ending import Ending
from .hooks import Hooks
from .opening import Opening
from .registry import Sessions
from .session import Session


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
