"""A clock that goes when the test says so, and what is at work meanwhile."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

import anyio
from anyio.lowlevel import checkpoint

#: Real seconds that a test waits for something that does not wait for the clock.
PATIENCE = 1.0


class Clock:
    """The time of a conversation: it begins at 0 and stands still between two `advance`.

    now  seconds since the conversation began
    """

    def __init__(self) -> None:
        self.now: float = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._working = 0
        self._asleep = 0
        self._cancelled = 0
        self._changed = anyio.Event()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: what falls due is called in its order, at its own time.

        Returns when hooks have done what they do at once; those that sleep on go on sleeping.
        ValueError when `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("a clock goes forward only")
        until = self.now + seconds
        await self.settle()
        while self._due and self._due[0][0] <= until:
            at, _, call = heapq.heappop(self._due)
            self.now = max(self.now, at)
            call()
            await self.settle()
        self.now = until

    async def sleep(self, seconds: float) -> None:
        """Wait until `seconds` have passed by this clock."""
        woken = anyio.Event()

        def wake() -> None:
            if not woken.is_set():
                woken.set()
                self._count(asleep=-1)

        self.call_at(self.now + seconds, wake)
        self._count(asleep=1)
        try:
            await woken.wait()
        finally:
            wake()  # when it is cancelled

    def call_at(self, at: float, call: Callable[[], None]) -> None:
        """Call the function `call` when the clock is at `at`."""
        heapq.heappush(self._due, (at, next(self._numbers), call))

    # What is at work

    @property
    def asleep(self) -> int:
        """How many hooks wait for this clock."""
        return self._asleep

    @property
    def working(self) -> int:
        """How many hooks have not returned, those that wait for this clock among them."""
        return self._working

    def begins(self) -> None:
        """For the kit: a hook has begun that has to be awaited."""
        self._count(working=1)

    def cancels(self) -> None:
        """For the kit: such a hook is being cancelled."""
        self._count(cancelled=1)

    def ends(self, cancelled: bool = False) -> None:
        """For the kit: it is over."""
        self._count(working=-1, cancelled=-cancelled)

    async def settle(self) -> None:
        """Wait until all hooks have returned, but for those that wait for this clock.

        For PATIENCE at most: a hook may wait for something that the test does later.
        """
        with anyio.move_on_after(PATIENCE):
            await checkpoint()
            while self._working > self._asleep or self._cancelled:
                await self._changed.wait()

    def _count(self, working: int = 0, asleep: int = 0, cancelled: int = 0) -> None:
        self._cancelled += cancelled
        self._working += working
        self._asleep += asleep
        self._changed.set()
        self._changed = anyio.Event()
