"""Sessions that have to end: each gets its Close, spread over the drain's window."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import anyio
from anyio.abc import TaskGroup

from ...config.model import Drain
from ...sessions import Session, Sessions
from .drain import schedule, stop_window

Still = Callable[[Session], bool]


class Draining:
    """The sessions of `sessions` that wait for their Close, in tasks of `tasks`."""

    def __init__(self, sessions: Sessions, tasks: TaskGroup) -> None:
        self._sessions = sessions
        self._tasks = tasks
        self._waiting: set[str] = set()
        self._sent: deque[float] = deque()  # when, in the last second

    def __len__(self) -> int:
        return sum(self._sessions.get(known) is not None for known in self._waiting)

    def begin(
        self, chosen: Iterable[Session], how: Drain, reason: str, still: Still = lambda _: True
    ) -> None:
        """Close the chosen sessions slowly. One that waits already keeps its turn, and one for
        which `still` does not hold when its turn comes stays open.
        """
        ids = [it.opening.id for it in chosen if it.opening.id not in self._waiting]
        self._waiting.update(ids)
        if ids:
            self._tasks.start_soon(self._close, self._waiting, ids, how, reason, still)

    async def finish(self, how: Drain, reason: str) -> None:
        """Close all sessions slowly, those that wait already among them. Return when each has got
        its Close.
        """
        ids = [session.opening.id for session in self._sessions]
        earlier, self._waiting = self._waiting, set(ids)
        earlier.clear()  # for the tasks that had them
        how = how._replace(window=stop_window(len(ids), how.window))
        await self._close(self._waiting, ids, how, reason, lambda _: True)

    def finish_late(self, session: Session, how: Drain, reason: str) -> None:
        """Close one more, which has opened after `finish` was called."""
        self.begin([session], how._replace(window=stop_window(1, how.window)), reason)

    async def _close(
        self, waiting: set[str], ids: list[str], how: Drain, reason: str, still: Still
    ) -> None:
        now = anyio.current_time()
        times = schedule(len(ids), how.window, how.per_second)
        for name, after in zip(ids, times, strict=True):
            if name in waiting and self._sessions.get(name) is not None:
                await anyio.sleep_until(now + after)
                await self._allowed(how.per_second)
            session = self._sessions.get(name)
            if name in waiting and session is not None and still(session):
                session.close(how.code, reason)
            waiting.discard(name)

    async def _allowed(self, per_second: int) -> None:
        """Wait until one more Close is within the cap, which holds for all drains together."""
        sent = self._sent
        while per_second:
            now = anyio.current_time()
            while sent and sent[0] + 1 <= now:  # as it is slept until below
                sent.popleft()
            if len(sent) < per_second:
                sent.append(now)
                return
            await anyio.sleep_until(sent[-per_second] + 1)
