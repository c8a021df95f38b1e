"""The signals that a process has to heed: some are its helper's, and some come twice."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator

import anyio

from .helpers import LOOK
from .inplace import InPlace
from .taking import Taker

log: logging.Logger = logging.getLogger("easews")

#: Seconds within which a helper, and a new process, take two signals to stop for one: systemd and
#: terminals send it to all processes, which the one that passes it on cannot know.
SAME = 3.0
_TO_STOP = (signal.SIGTERM, signal.SIGINT)


class Told:
    """Those of `signals` that this process has to heed.

    While a helper serves, it gets those to reload and to stop. The first one to stop ends no
    session here: those are drained already. `follows` is what takes over from the process before.
    """

    def __init__(
        self,
        signals: AsyncIterator[signal.Signals],
        in_place: InPlace,
        follows: Taker | None = None,
    ) -> None:
        self._signals = signals
        self._in_place = in_place
        self._follows = follows
        self._stopped_at = float("-inf")
        self._comes_twice = False

    def __aiter__(self) -> Told:
        return self

    async def __anext__(self) -> signal.Signals:
        while True:
            told = await self._next()
            if not (self._in_place.helped and self._was_passed_on(told)) and not self._again(told):
                return told

    async def _next(self) -> signal.Signals:
        while self._in_place.helped and not self._in_place.stops:
            with anyio.move_on_after(LOOK):
                return await anext(self._signals)
            if not self._in_place.helpers.living():
                log.error("the helper has ended: the new program begins at once, and afresh")
                self._in_place.helped = False
                return signal.SIGTERM  # which ends what is drained here
        return await anext(self._signals)

    def _was_passed_on(self, told: signal.Signals) -> bool:
        """Whether that was all that was to be done."""
        if told == signal.SIGUSR2:
            log.warning("SIGUSR2 is ignored: the upgrade before is not over yet")
            return True
        self._in_place.helpers.pass_on(told)
        if told == signal.SIGHUP:
            return True
        is_first, self._in_place.stops = not self._in_place.stops, True
        return is_first

    def _again(self, told: signal.Signals) -> bool:
        """Whether the same signal has come from two senders."""
        if told not in _TO_STOP:
            return False
        before, self._stopped_at = self._stopped_at, anyio.current_time()
        if before == float("-inf"):  # the first one
            self._comes_twice = self._in_place.is_helper or (
                self._follows is not None and self._follows.other_is_there
            )
        return self._comes_twice and self._stopped_at < before + SAME
