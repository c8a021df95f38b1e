"""All open sessions of the process."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from .ending import Ending
from .session import Session

log: logging.Logger = logging.getLogger("easews.sessions")


class Sessions:
    """The open sessions of this process, to count, to iterate over and to listen to.

    on_open  functions that are called with each session that opens
    on_end   functions that are called with each session that is over, and its `Ending`
    on_move  functions that are called with each session that goes on in another process

    When one of these functions raises, that is logged, and the others are called all the same.
    """

    def __init__(self) -> None:
        self._open: dict[str, Session] = {}
        self._of_backend: Counter[str] = Counter()
        self.on_open: list[Callable[[Session], None]] = []
        self.on_end: list[Callable[[Session, Ending], None]] = []
        self.on_move: list[Callable[[Session], None]] = []

    def get(self, id: str) -> Session | None:
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
        for listener in self.on_move:
            _tell(listener, session)

    def _take_out(self, session: Session) -> None:
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
