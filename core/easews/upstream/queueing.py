"""Requests that wait while every server of a pool is full. Values, no I/O.

What becomes free is given to the first of them at once, so that nobody can take it in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..http import Request
from .attempts import Attempt


@dataclass(frozen=True, slots=True)
class Queue:
    """How many requests wait while all servers are full, and for how many seconds each."""

    size: int = 0
    timeout: float = 0.0


class Waiting:
    """A request that waits for a server that is not full.

    attempt  at the server that it got; None as long as it waits
    wake     is called when there is an attempt, or it may be due at another time
    """

    __slots__ = ("attempt", "request", "wake")

    def __init__(self, request: Request, wake: Callable[[], None]) -> None:
        self.request: Request = request
        self.wake: Callable[[], None] = wake
        self.attempt: Attempt | None = None


class Line:
    """The requests that wait, in their order.

    rule  how many may, and for how long
    """

    def __init__(self, rule: Queue) -> None:
        self.rule: Queue = rule
        self._waiting: deque[Waiting] = deque()
        self._is_served = False

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, request: Request, wake: Callable[[], None]) -> Waiting | None:
        """Wait in turn; `wake` is that of the `Waiting`.

        None when too many wait already. The caller calls `leave` when it waits no longer.
        """
        if len(self._waiting) >= self.rule.size:
            return None
        self._waiting.append(waiting := Waiting(request, wake))
        return waiting

    def leave(self, waiting: Waiting) -> None:
        """Wait no longer. An attempt that has come meanwhile is the caller's."""
        if waiting.attempt is None:
            self._waiting.remove(waiting)

    def rouse(self) -> None:
        """Wake all that wait: what they wait for may come at another time."""
        for waiting in self._waiting:
            waiting.wake()

    def serve(self, choose: Callable[[Request], Attempt | None]) -> None:
        """Give what has become free to those that wait. `choose` may find nothing, too.

        A choice may find that a server is usable again, and tell of that: then this is called
        within itself, and goes on outside.
        """
        if self._is_served:
            return
        self._is_served = True
        try:
            while self._waiting and (attempt := choose(self._waiting[0].request)) is not None:
                waiting = self._waiting.popleft()
                waiting.attempt = attempt
                waiting.wake()
        finally:
            self._is_served = False
