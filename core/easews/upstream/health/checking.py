"""Checking the servers of a pool, for as long as it is used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from random import random
from time import monotonic
from weakref import WeakKeyDictionary

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import RunVar

from ...errors import UpstreamError
from ..servers import Member
from ..succession import Succession
from .checks import Check, OnUnhealthy
from .probes import probe
from .rules import Checkup

log: logging.Logger = logging.getLogger("easews.upstream")

#: In how many seconds the sessions of a server that is down are closed. Their clients do not all
#: come back at once.
WINDOWS: dict[OnUnhealthy, float] = {"drain": 60.0, "close": 5.0}
SERVICE_RESTART = 1012

# Whoever has the lock checks; the others wait to take over. Locks belong to an event loop.
_locks: RunVar[WeakKeyDictionary[Checkup, anyio.Lock]] = RunVar("checking")


class Checking:
    """Checks the members of a pool, all at the same time, and closes sessions of those that are
    down.
    """

    def __init__(self, check: Check, succession: Succession) -> None:
        self._check = check
        self._succession = succession
        self._members: Sequence[Member] = ()
        self._tasks: TaskGroup | None = None
        self._checked: dict[Member, anyio.CancelScope] = {}
        self._closing: dict[Member, anyio.CancelScope] = {}

    async def run(self) -> None:
        """Check the members until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            self.update(self._members)
            await anyio.sleep_forever()

    def update(self, members: Sequence[Member]) -> None:
        """These are the members from now on."""
        self._members = members
        if self._tasks is None:
            return
        for member in self._checked.keys() - set(members):
            self._checked.pop(member).cancel()
        for member in members:
            if member not in self._checked and member.checkup is not None:
                member.standing.watch(self)
                scope = self._checked[member] = anyio.CancelScope()
                self._tasks.start_soon(self._keep_checking, member, member.checkup, scope)

    async def _keep_checking(
        self, member: Member, checkup: Checkup, scope: anyio.CancelScope
    ) -> None:
        with scope:
            async with _lock_of(checkup):
                while True:
                    await anyio.sleep(max(checkup.due - monotonic(), 0))
                    checkup.due = monotonic() + self._pause()
                    await self._check_once(member, checkup)

    def _pause(self) -> float:
        check = self._check
        return check.interval * (1 + check.jitter * (2 * random() - 1))

    async def _check_once(self, member: Member, checkup: Checkup) -> None:
        url = member.server.url
        try:
            await probe(member.server, self._check)
        except UpstreamError as error:
            cause = str(error).removeprefix(f"{url}: ")
            if checkup.failed(cause, monotonic()):
                log.warning("%s is down: %s", url, _reason("failed", checkup.fails, cause))
                member.standing.tell()
        except Exception:
            log.exception("a check of %s raised", url)
        else:
            now = monotonic()
            was_down = now - checkup.since
            if checkup.passed(now):
                member.standing.ejection.succeeded(now)  # what failed while it was down is past
                reason = _reason("passed", checkup.passes)
                log.info("%s is up again after %.0f s: %s", url, was_down, reason)
                member.standing.tell()

    def health_changed(self) -> None:
        """The health of a server has changed: close sessions, or stop closing them."""
        for member in self._checked:
            if member.checkup is None or member.checkup.up:
                if (scope := self._closing.pop(member, None)) is not None:
                    scope.cancel()
            elif self._is_to_close(member) and self._tasks is not None:
                scope = self._closing[member] = anyio.CancelScope()
                self._tasks.start_soon(self._close_sessions, member, scope)

    def _is_to_close(self, member: Member) -> bool:
        keeps = self._check.on_unhealthy == "keep"
        begun = member in self._closing
        return bool(member.sessions) and not keeps and not begun and self._succession.is_last

    async def _close_sessions(self, member: Member, scope: anyio.CancelScope) -> None:
        sessions = list(member.sessions or ())
        if not sessions:  # they have ended meanwhile
            return
        pause = WINDOWS[self._check.on_unhealthy] / len(sessions)
        log.warning("%s is down: its %d sessions are closed", member.server.url, len(sessions))
        with scope:
            for session in sessions:
                await anyio.sleep(2 * random() * pause)
                session.close(SERVICE_RESTART, "the backend is down")


def _lock_of(checkup: Checkup) -> anyio.Lock:
    locks = _locks.get(None)
    if locks is None:
        _locks.set(locks := WeakKeyDictionary())
    return locks.setdefault(checkup, anyio.Lock())


def _reason(outcome: str, count: int, cause: str = "") -> str:
    which = "a check has" if count == 1 else f"{count} checks in a row have"
    return f"{which} {outcome}" + (f": {cause}" if cause else "")
