"""Sessions that a new config ends: each gets its Close, spread over the drain's window."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
from anyio.abc import TaskGroup

from ..config.model import Drain
from ..sessions import Session, Sessions
from .drain import schedule


class Draining:
    """The sessions of `sessions` that wait for their Close, in tasks of `tasks`."""

    def __init__(self, sessions: Sessions, tasks: TaskGroup) -> None:
        self._sessions = sessions
        self._tasks = tasks
        self._waiting: set[str] = set()

    def __len__(self) -> int:
        return sum(self._sessions.get(known) is not None for known in self._waiting)

    def begin(
        self, chosen: Iterable[Session], how: Drain, reason: str, still: Callable[[Session], bool]
    ) -> None:
        """Close the chosen sessions slowly. One that waits already keeps its turn, and one for
        which `still` does not hold when its turn comes stays open.
        """
        ids = [it.opening.id for it in chosen if it.opening.id not in self._waiting]
        self._waiting.update(ids)
        if ids:
            self._tasks.start_soon(self._close, ids, how, reason, still)

    async def _close(
        self, ids: list[str], how: Drain, reason: str, still: Callable[[Session], bool]
    ) -> None:
        now = anyio.current_time()
        for name, after in zip(ids, schedule(len(ids), how.window), strict=True):
            await anyio.sleep_until(now + after)
            self._waiting.discard(name)
            session = self._sessions.get(name)
            if session is not None and still(session):
                session.close(how.code, reason)
