"""One relayed session, as the engine and filters see it.

What goes through it is in `incoming`, when and how it ends in `lifecycle`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

from easews import Connection, Data, Frame, Notes, is_close_code

from .closing import LOST
from .hookrunner import HookRunner
from .insertion import insert_message, is_behind
from .leg import Leg
from .lifecycle import Lifecycle
from .tap import FrameTap
from .watchdog import POLICY_VIOLATION, End, Limits


class RelaySession(Lifecycle):
    """See `easews.Session`. Made by the filter, run by the relay."""

    __slots__ = ()

    def __init__(self, connection: Connection, client: Leg, backend: Leg, limits: Limits) -> None:
        super().__init__(connection, client, backend, limits)
        if connection.hooks is not None:
            self.hooks = HookRunner(connection.hooks, self, self._opened)

    def on_open(self, opened: Callable[[], None]) -> None:
        """It begins. Call `opened` when it may be read."""
        self._connection.opened(self)
        if self.hooks is None:
            opened()
        else:
            self.hooks.open(opened)

    def spawn(self, running: Callable[[], Awaitable[None]]) -> None:
        """Run this in a task; a fault ends the session."""
        self.clock.spawn(self, running)

    @property
    def held(self) -> int:
        return sum(
            len(leg.pending or b"") + len(leg.inserts or b"") + (leg.lane.size if leg.lane else 0)
            for leg in (self.client, self.backend)
        )

    @property
    def notes(self) -> Notes:
        if self._connection.notes is None:
            self._connection.notes = Notes()
        return self._connection.notes

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def close(self, code: int, reason: str) -> None:
        if not is_close_code(code):
            self.fail(f"a filter has closed it with {code}, which no Close may have")
            return
        now = time.monotonic()
        closing = self.begin_to_close("proxy", code, reason or "closed by a filter", now)
        closing.close_both(code, reason, now)
        self.settle(now)

    def send_to_client(self, data: Data) -> None:
        self._insert(self.client, data)

    def send_to_backend(self, data: Data) -> None:
        self._insert(self.backend, data)

    def _insert(self, leg: Leg, data: Data) -> None:
        if self.closing is not None:
            return
        now = time.monotonic()
        if is_behind(leg):
            self.end(End(POLICY_VIOLATION, "does not take what filters send", leg), now)
        else:
            try:
                insert_message(leg, data)
            except UnicodeEncodeError:
                self.fail("a filter has sent a text with surrogates")
            self.watch_reader(leg, now)
        self.settle(now)

    def expire(self, at: float, code: int, reason: str) -> None:
        when = time.monotonic() + at - time.time()
        self._watchdog.expire(when, code, reason)
        if self.closing is None:
            self.clock.schedule(self, when)

    def ping(self) -> None:
        self.client.heartbeat.wanted = self.backend.heartbeat.wanted = True
        if self.closing is None:
            self.clock.schedule(self, time.monotonic())

    def tap(self, tell: Callable[[Frame], None], payload: bool = False) -> Callable[[], None]:
        """The loop reports what it receives as long as there is a tap: see `interest`."""
        taps = {leg: FrameTap(leg.role, tell, payload) for leg in (self.client, self.backend)}
        for leg, tap in taps.items():
            leg.taps = (*leg.taps, tap)
        self._settle_if_open()
        return partial(self._untap, taps)

    def _untap(self, taps: dict[Leg, FrameTap]) -> None:
        for leg, ended in taps.items():
            leg.taps = tuple(tap for tap in leg.taps if tap is not ended)
        self._settle_if_open()

    def _settle_if_open(self) -> None:
        if not self.is_over:
            self.settle(time.monotonic())

    # On the way to another process

    @property
    def is_without_notes(self) -> bool:
        """Whether no filter keeps anything for it."""
        return not self._connection.notes

    def forget(self) -> None:
        """It goes on in another process, and its connections are no longer here."""
        closing = self.begin_to_close("proxy", LOST, "handed over", time.monotonic())
        closing.is_over = True
        closing.cut()
        self.clock.ended(self)
        self._connection.forget()
        self.client.part()
        self.backend.part()
