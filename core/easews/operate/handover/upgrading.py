"""Upgrades of this process, whoever asks for them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol

import anyio

from ...net.channel import Channel
from ...observe.logs import log_event, write_the_rest
from ...server import Listener
from ..control import UpgradeResult
from ..notifying import Notifier
from ..reloading import Served, log_all
from ..stopping import STOPPING, Signals
from ..systemd import SystemdEnvironment
from .giving import Handover, Whole, lost_with
from .inplace import BECOMES_NEW, InPlace
from .link import NewProcess, started
from .protocol import HandoverFault
from .starting import Successor

log: logging.Logger = logging.getLogger("easews")

#: Seconds that whoever has asked over the admin interface has to read the answer.
ANSWER_PATIENCE, LOOK = 2.0, 0.02


class Upgradable(Served, Protocol):
    """A gateway, or several workers.

    beside  listeners of its companions
    """

    beside: list[Listener]

    def unchanged(self) -> AbstractAsyncContextManager[None]:
        """No other config is served while the block runs."""

    def leave(self) -> None:
        """Serve no other config from now on: another process serves."""


class Upgrader:
    """Has a new process take over from this one when it is asked to.

    in_place        whether this pid stays, and what belongs to that
    notifier        whom to tell which process is in charge
    on_handed_over  called with the new process when it has everything
    """

    def __init__(self, in_place: InPlace | None = None) -> None:
        self.in_place: InPlace = InPlace() if in_place is None else in_place
        self.notifier: Notifier = Notifier(SystemdEnvironment())
        self.on_handed_over: list[Callable[[Successor], None]] = []
        self._link: NewProcess | None = None  # once it has been done
        self._side: Whole
        self._wanted: anyio.Event | None = anyio.Event()  # None once it is too late
        self._answered = anyio.Event()
        self._result: UpgradeResult = _refused(STOPPING)

    def ask(self, why: str) -> None:
        """Upgrade soon. Who asks while an upgrade goes on has asked for that one."""
        if self._wanted is not None and not self._wanted.is_set():
            log.info("%s: a new process is started, to take over", why)
            self._wanted.set()

    def hand_back(self, channel: Channel) -> None:
        """Hand over to the process at the other end, which this one helps, soon."""
        log.info("process %d takes over again", self.in_place.helps)
        self.in_place.hand_back(channel)
        if self._wanted is not None:
            self._wanted.set()

    async def upgrade(self, why: str) -> UpgradeResult:
        """The same, and wait for what comes of it."""
        self.ask(why)
        await self._answered.wait()
        return self._result

    async def run(self, served: Upgradable, side_of: Callable[[], Whole]) -> None:
        """Upgrade when somebody asks; return once a new process has taken over.

        `side_of` returns what it takes over, from the beginning. Who asks later, or when this was
        cancelled, is refused.
        """
        try:
            await self._run(served, side_of)
        finally:
            self._wanted = None
            if self._link is None:
                self._result = _refused(STOPPING)
            self._answered.set()

    async def _run(self, served: Upgradable, side_of: Callable[[], Whole]) -> None:
        while self._link is None:
            if self._wanted is None or self._answered.is_set():
                self._wanted, self._answered = anyio.Event(), anyio.Event()
            if not self.in_place.hands_back:
                await self._wanted.wait()
            try:
                self._side = side_of()
                self._result = await self._upgrade(served, self._side)
            except HandoverFault as error:
                log_all(error.problems)
                log.error("not upgraded, this process goes on: %s", error)
                self._result = _refused(*(error.problems or (str(error),)))
                self.in_place.has_not_handed_over()
            finally:
                self._answered.set()
        with anyio.move_on_after(ANSWER_PATIENCE):
            while any(listener.open for listener in served.beside):  # noqa: ASYNC110
                await anyio.sleep(LOOK)

    async def tell_of_the_rest(self) -> None:
        """Tell the new process, if there is one, what is left here, until cancelled."""
        if self._link is not None:
            await self._side.tell_of_the_rest(self._link)

    async def finish(self, status: int, signals: Signals) -> int:
        """All has ended here, with this exit status. Returns it, or BECOMES_NEW."""
        link, in_place = self._link, self.in_place
        becomes_new = False
        if link is not None:
            becomes_new = in_place.ends_here and await in_place.ask_back(link, signals)
            link.close()
        if becomes_new:
            return BECOMES_NEW
        await in_place.outlive(signals)
        return status

    async def finish_anyway(self, signals: Signals) -> None:
        """The same, although a filter does not end. Returns when the process is to be ended."""
        if await self.finish(1, signals) == BECOMES_NEW:
            self.in_place.keep_signals()
            write_the_rest()
            self.in_place.become_new(self.notifier.environment)

    async def _upgrade(self, served: Upgradable, side: Whole) -> UpgradeResult:
        in_place = self.in_place
        start = in_place.start(self.notifier.environment)
        handover = Handover(side, partial(started, start, side))
        try:
            async with served.unchanged():
                link = await handover.run(self._serves)
                served.leave()
        except HandoverFault as error:
            self.notifier.send(MAINPID=os.getpid())
            raise HandoverFault(f"{error}{lost_with(side.moved)}", error.problems) from None
        self._link, successor = link, link.successor
        for call in self.on_handed_over:
            call(successor)
        if not in_place.ends_here:
            self.notifier.leave()
        successor.leave()
        in_place.has_handed_over()
        pid, moved, kept = successor.pid, side.moved, side.kept
        log_event(log, "handed over", {"pid": pid, "moved": moved, "kept_behind": kept})
        result: UpgradeResult = {
            "outcome": "upgraded",
            "pid": os.getpid() if in_place.ends_here else pid,
            "moved": moved,
            "kept_behind": kept,
            "problems": [],
        }
        return result

    def _serves(self, link: NewProcess) -> None:
        """The new process accepts connections."""
        if not self.in_place.ends_here:
            self.notifier.send(MAINPID=link.successor.pid)


def _refused(*problems: str) -> UpgradeResult:
    return {
        "outcome": "refused",
        "pid": os.getpid(),
        "moved": 0,
        "kept_behind": 0,
        "problems": [*problems],
    }
