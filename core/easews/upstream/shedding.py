"""Closes sessions after a scale-out, as `rebalancing` says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from random import choice, random

import anyio

from .balance.rebalancing import Load, Rebalance, Shedding
from .servers import Member
from .succession import Succession

log: logging.Logger = logging.getLogger("easews.upstream")

SERVICE_RESTART = 1012


class Rebalancing:
    """Closes sessions of the fullest members of a pool after a scale-out."""

    def __init__(self, rule: Rebalance, succession: Succession) -> None:
        """It closes sessions only while the pool is the last one of `succession`."""
        self._rule = rule
        self._succession = succession
        self._shedding = Shedding(rule)
        self._members: Sequence[Member] = ()
        self._begin = anyio.Event()

    def update(self, members: Sequence[Member]) -> None:
        """These are the members from now on, or another one of them is usable."""
        self._members = [member for member in members if member.usable]
        standings = [member.standing for member in self._members]
        if self._shedding.update(standings, self._loads()):
            self._begin.set()

    def inherit(self, members: Sequence[Member], previous: Rebalancing | None) -> None:
        """The config before had `members`. What `previous` has not closed yet is closed here."""
        left = 0 if previous is None else previous._shedding.left
        self._shedding.inherit([member.standing for member in members if member.usable], left)
        if left:
            self._begin.set()

    async def run(self) -> None:
        """Close sessions when there are some to close, until cancelled."""
        while True:
            await self._begin.wait()
            self._begin = anyio.Event()
            if self._succession.is_last:
                rate = self._rule.per_minute
                log.info("there are new servers: sessions are closed, %d a minute", rate)
            while self._shedding.left:
                await anyio.sleep(self._rule.pause(random()))
                if self._succession.is_last:
                    self.close_one()

    def close_one(self) -> bool:
        """Close a session, if one is to be closed now. Whether one was."""
        index = self._shedding.next(self._loads())
        if index is None:
            return False
        if sessions := self._members[index].sessions:
            session = choice(list(sessions))
            sessions.discard(session)  # it counts no longer, however long its Close takes
            session.close(SERVICE_RESTART, "there are new servers")
        return True

    def _loads(self) -> list[Load]:
        return [Load(len(one.sessions or ()), one.server.weight) for one in self._members]
