"""Upgrades of this process, whoever asks for them."""

from __future__ import annotations

import logging
import os
from functools import partial

import anyio

from ...observe.logs import log_event
from ..control import UpgradeResult
from ..gateway import Gateway
from ..notifying import Notifier
from ..systemd import SystemdEnvironment
from .giving import Handover
from .protocol import HandoverFault
from .starting import start

log: logging.Logger = logging.getLogger("easews")

#: The process that a container, or a system, ends with.
_FIRST = 1
#: Seconds that whoever has asked over the admin interface has to read the answer.
ANSWER_PATIENCE, LOOK = 2.0, 0.02
STOPPING = "easews is stopping"


class Upgrader:
    """Has a new process take over from this one when it is asked to.

    notifier  whom to tell which process is in charge
    """

    def __init__(self) -> None:
        self.notifier: Notifier = Notifier(SystemdEnvironment())
        self._handover: Handover | None = None  # once it has been done
        self._wanted: anyio.Event | None = None
        self._answered = anyio.Event()
        self._result: UpgradeResult = _refused(STOPPING)

    def ask(self, why: str) -> None:
        """Upgrade soon. Who asks while an upgrade goes on has asked for that one."""
        if self._wanted is not None and not self._wanted.is_set():
            log.info("%s: a new process is started, to take over", why)
            self._wanted.set()

    async def upgrade(self, why: str) -> UpgradeResult:
        """The same, and wait for what comes of it."""
        self.ask(why)
        await self._answered.wait()
        return self._result

    async def run(self, gateway: Gateway) -> None:
        """Upgrade when somebody asks; return once a new process has taken over.

        Who asks later, or when this was cancelled, is refused.
        """
        try:
            await self._run(gateway)
        finally:
            self._wanted = None
            if self._handover is None:
                self._result = _refused(STOPPING)
            self._answered.set()

    async def _run(self, gateway: Gateway) -> None:
        while self._handover is None:
            self._wanted, self._answered = anyio.Event(), anyio.Event()
            await self._wanted.wait()
            try:
                self._result = await self._upgrade(gateway)
            except HandoverFault as error:
                log.error("not upgraded, this process goes on: %s", error)
                self._result = _refused(str(error))
            finally:
                self._answered.set()
        with anyio.move_on_after(ANSWER_PATIENCE):
            while any(listener.open for listener in gateway.beside):  # noqa: ASYNC110
                await anyio.sleep(LOOK)

    async def tell_of_the_rest(self) -> None:
        """Tell the new process, if there is one, what is left here, until cancelled."""
        if self._handover is not None:
            await self._handover.tell_of_the_rest()

    async def _upgrade(self, gateway: Gateway) -> UpgradeResult:
        if os.getpid() == _FIRST:
            raise HandoverFault("this is process 1, which has to stay; replace the container")
        handover = Handover(gateway, partial(start, environment=self.notifier.environment))
        try:
            async with gateway.unchanged():
                successor = await handover.run(self._serves)
        except HandoverFault:
            self.notifier.send(MAINPID=os.getpid())
            raise
        self._handover = handover
        self.notifier.leave()
        successor.leave()
        pid, moved, kept = successor.pid, handover.moved, len(gateway.sessions)
        log_event(log, "handed over", {"pid": pid, "moved": moved, "kept_behind": kept})
        result: UpgradeResult = {
            "outcome": "upgraded",
            "pid": pid,
            "moved": moved,
            "kept_behind": kept,
            "problems": [],
        }
        return result

    def _serves(self, pid: int) -> None:
        """The new process accepts connections."""
        self.notifier.send(MAINPID=pid)


def _refused(why: str) -> UpgradeResult:
    return {
        "outcome": "refused",
        "pid": os.getpid(),
        "moved": 0,
        "kept_behind": 0,
        "problems": [why],
    }
