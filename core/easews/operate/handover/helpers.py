"""Processes that serve while this pid becomes a new program: its children."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType

import anyio

#: Seconds between two looks at whether one has ended.
LOOK = 0.2
#: Signals that are meant for a helper as well.
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)


class Helpers:
    """The helpers that have not ended, by pid. `worst` is the worst of the exit statuses."""

    def __init__(self, pids: Iterable[int] = ()) -> None:
        self.worst: int = 0
        self._pids = list(pids)

    def add(self, pid: int) -> None:
        """It has been started."""
        self._pids.append(pid)

    def living(self) -> list[int]:
        """Those that have not ended. One that has ended is waited for, so that no zombie stays."""
        self._pids = [pid for pid in self._pids if not self._has_ended(pid)]
        return self._pids

    def pass_on(self, number: int) -> None:
        """Send all of them a signal."""
        for pid in self.living():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def reap(self) -> None:
        """Wait until they have ended."""
        while self.living():  # noqa: ASYNC110
            await anyio.sleep(LOOK)

    def outlive(self) -> None:
        """The same for a process that has no event loop: signals are passed on."""
        if not self.living():
            return

        def pass_on(number: int, _: FrameType | None) -> None:
            self.pass_on(number)

        for number in PASSED_ON:
            signal.signal(number, pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        while self.living():
            time.sleep(LOOK)

    def _has_ended(self, pid: int) -> bool:
        try:
            ended, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has waited for it
            return True
        if ended:
            self.worst = max(self.worst, abs(os.waitstatus_to_exitcode(status)))
        return bool(ended)
