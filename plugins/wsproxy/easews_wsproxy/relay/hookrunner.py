"""What filters are told of a session, and the tasks that wait for those who take their time.

A hook that is a plain function is called in place. Meanwhile the session is not settled: whoever
calls the hook goes on with it, and settles it then.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Protocol, TypeVar

import anyio

from easews import Ending, Hooks, Message, Outcome, Session

T = TypeVar("T")


class Hooked(Session, Protocol):
    """A session that has hooks."""

    def spawn(self, running: Callable[[], Awaitable[None]]) -> None:
        """Run this in a task; a fault ends this session only."""

    def settle(self, now: float) -> None:
        """Go on after whatever may have happened."""

    def check(self, now: float) -> None:
        """Act on time that has passed, and say when the next time comes."""


class HookRunner:
    """Calls the hooks of one session.

    message     what goes on in place of a message; to be called while `is_calling`
    is_calling  a hook is being called in place
    acted       it has done something to the session meanwhile, which is to be settled
    """

    __slots__ = (
        "_hooks",
        "_over",
        "_running",
        "_session",
        "_tick_at",
        "acted",
        "is_calling",
        "message",
    )

    def __init__(self, hooks: Hooks, session: Hooked, now: float) -> None:
        self._hooks = hooks
        self._session = session
        self._running: set[anyio.CancelScope] = set()
        self._over: Callable[[], None] | None = None
        self._tick_at = now + hooks.tick
        self.is_calling = self.acted = False
        self.message: Callable[[Message], Outcome | Awaitable[Outcome]]
        self.message = partial(hooks.message, session)

    def open(self, opened: Callable[[], None]) -> None:
        """It has opened; call `opened` when every filter is ready for its messages."""
        waiting = self._call(self._hooks.opened)
        if waiting is None:
            opened()
        else:
            self.wait(waiting, lambda _: opened())

    def tick(self, now: float) -> float:
        """Tell the time if it has come; when to look again."""
        if now >= self._tick_at:
            self._tick_at = now + self._hooks.tick
            waiting = self._call(self._hooks.ticked)
            if waiting is not None:
                self._tick_at = inf
                self.wait(waiting, self._ticked)
        return self._tick_at

    def _ticked(self, _: object) -> None:
        now = time.monotonic()
        self._tick_at = now + self._hooks.tick
        self._session.check(now)

    def end(self, ending: Ending, over: Callable[[], None]) -> None:
        """It has ended: cancel what is awaited, and call `over` when all of that is done."""
        self._over = over
        for scope in self._running:
            scope.cancel()
        waiting = self._call(partial(self._hooks.ended, ending=ending))
        if waiting is not None:
            self.wait(waiting, lambda _: None)
        self._finish()

    def wait(self, awaited: Awaitable[T], done: Callable[[T], None]) -> None:
        """Await it in a task, then call `done` with its result, unless the session ends before."""
        scope = anyio.CancelScope()
        self._running.add(scope)
        self._session.spawn(partial(self._wait, awaited, done, scope))

    async def _wait(
        self, awaited: Awaitable[T], done: Callable[[T], None], scope: anyio.CancelScope
    ) -> None:
        try:
            with scope:
                result = await awaited
                if self._over is None:
                    done(result)
                    self._session.settle(time.monotonic())
        finally:
            self._running.discard(scope)
            self._finish()

    def _call(self, hook: Callable[[Session], Awaitable[None] | None]) -> Awaitable[None] | None:
        self.is_calling = True
        try:
            return hook(self._session)
        finally:
            self.is_calling = False

    def _finish(self) -> None:
        if self._over is not None and not self._running:
            over, self._over = self._over, None
            over()
