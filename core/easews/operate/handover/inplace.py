"""An upgrade that ends in the pid in which it began.

old program ── hands over ──▶ helper, which is the new program
    drains what has stayed          serves
    becomes the new program         serves
new program ◀── hands over ── helper
    serves                          drains what has stayed, and ends
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, MutableMapping
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

import anyio

from ...net.channel import Channel
from . import protocol
from .helpers import PASSED_ON, Helpers
from .keeping import HELPERS, HELPS, keeps_pid, pids_written, take_pids
from .protocol import HandoverFault
from .starting import Predecessor, Process, start

if TYPE_CHECKING:
    from ..stopping import Signals
    from .link import NewProcess, Start

log: logging.Logger = logging.getLogger("easews")

#: Seconds that a helper has to begin: it may be reading a config, which takes 120 at most.
BACK_PATIENCE = 130.0
#: Seconds in which signals that have come are read, before later ones are left to the new program.
LAST_SIGNALS = 0.05
#: The exit status of an event loop after which the process becomes the new program.
BECOMES_NEW = -1


class InPlace:
    """What a process knows of such upgrades: before one, as a helper, and as the new program.

    helpers    its children that serve for it, or still drain
    helps      whom this process helps, as long as that has not taken over again; else 0
    is_helper  whether it was started to help
    ends_here  whether the upgrade that has begun is to end in this pid
    helped     whether a helper serves while this process only drains
    stops      whether the helper has been told to stop: then nothing takes over again
    """

    def __init__(
        self, *, asked: bool = False, helps: int = 0, helpers: Helpers | None = None
    ) -> None:
        self.helpers: Helpers = Helpers() if helpers is None else helpers
        self.helps: int = helps
        self.ends_here: bool = False
        self.helped: bool = False
        self.stops: bool = False
        self._asked = asked or bool(helps)
        self.is_helper: bool = bool(helps)
        self._channel: Channel | None = None  # to the process that is ready to take over again
        self._descriptor: int | None = None
        self._late: list[int] = []

    @classmethod
    def from_environment(
        cls, environment: MutableMapping[str, str], *, asked: bool = False
    ) -> InPlace:
        """As the process that has started this one says. `asked`: an upgrade is to end in this
        pid, whatever pid it is.
        """
        helps = take_pids(environment, HELPS)
        helpers = Helpers(take_pids(environment, HELPERS))
        return cls(asked=asked, helps=helps[0] if helps else 0, helpers=helpers)

    def stop_helpers(self) -> None:
        """Have those end that serve or drain still, unless one serves for this process."""
        if not self.helped:
            self.helpers.pass_on(signal.SIGTERM)

    # In the old program

    def start(self, environment: Mapping[str, str]) -> Start:
        """How an upgrade starts the process that is to follow this one, which reports to systemd
        by this `environment`. HandoverFault while that is impossible.
        """
        self.ends_here = False
        if self._channel is not None:
            return partial(self._start_predecessor, self._channel)
        if self.helps:
            raise HandoverFault(f"the upgrade of process {self.helps} is not over yet")
        reports = bool(environment)
        self.ends_here = self._asked or keeps_pid(os.getpid(), os.environ, reports=reports)
        return self._start_helper if self.ends_here else partial(start, environment=environment)

    async def _start_helper(self, channel: socket.socket) -> Process:
        """Start the new program as a helper of this process."""
        helper = await start(channel, {HELPS: str(os.getpid())})
        self.helpers.add(helper.pid)
        return helper

    def has_handed_over(self) -> None:
        """The process that has been started has everything that can move."""
        self.helped = self.ends_here
        self.helps, self._channel = 0, None

    async def ask_back(self, link: NewProcess, signals: Signals) -> bool:
        """Have the helper begin to hand back. False when this process cannot become the new
        program now, or is not to. After True, signals wait for the new program.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pass_on, signals)
            if self.helped and not self.stops:
                await self._ask_back(link)
            if not self.stops and not self.helpers.living():
                await self._end_workers(link)
            signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
            await anyio.sleep(LAST_SIGNALS)
            tasks.cancel_scope.cancel()
        # If the helper is dead, the new program begins afresh.
        becomes = not self.stops and (self._descriptor is not None or not self.helpers.living())
        if not becomes:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        return becomes

    async def outlive(self, signals: Signals) -> None:
        """Wait until the helpers have ended. Signals are theirs."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pass_on, signals)
            await self.helpers.reap()
            tasks.cancel_scope.cancel()

    async def _pass_on(self, signals: Signals) -> None:
        while True:
            told = await anext(signals)
            if not self.helped:  # else that has been done
                self.helpers.pass_on(told)

    async def _ask_back(self, link: NewProcess) -> None:
        try:
            with anyio.fail_after(BACK_PATIENCE):
                self._descriptor = await link.ask_back()
        except (OSError, HandoverFault) as error:  # a TimeoutError is an OSError
            log.error("the helper does not hand back: %s", str(error) or "it does not answer")
        else:
            log.info("this process, %d, becomes the new program", os.getpid())

    async def _end_workers(self, link: NewProcess) -> None:
        """Those of a helper that is dead would keep the listening sockets."""
        await link.end(0)
        for pid in link.pids:
            self.helpers.add(pid)  # process 1 has to wait for them
        await self.helpers.reap()

    def keep_signals(self) -> None:
        """Keep those that come in other threads, which end with this program."""

        def keep(number: int, _: FrameType | None) -> None:
            self._late.append(number)

        for number in PASSED_ON:
            signal.signal(number, keep)

    def become_new(self, environment: Mapping[str, str]) -> None:
        """Become the program that this process was started with, as it is installed now. Returns
        only when that is impossible: then the helper goes on.
        """
        variables = {**os.environ, **environment, HELPERS: pids_written(self.helpers.living())}
        if self._descriptor is not None:
            os.set_inheritable(self._descriptor, True)
            variables[protocol.VARIABLE] = protocol.variable(self._descriptor)
        for number in self._late:
            signal.raise_signal(number)  # it is blocked, so it waits
        sys.stdout.flush()
        try:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)
        except OSError as error:
            print(f"easews: {sys.executable} cannot be started: {error}", file=sys.stderr)
            if self._descriptor is not None:
                os.close(self._descriptor)

    # In the helper

    def hand_back(self, channel: Channel) -> None:
        """The process at the other end is ready to take over again."""
        self._channel = channel

    @property
    def hands_back(self) -> bool:
        """Whether it is."""
        return self._channel is not None

    async def _start_predecessor(self, channel: Channel, end: socket.socket) -> Predecessor:
        await channel.send(protocol.channel(), [end.fileno()])
        return Predecessor(self.helps)

    def has_not_handed_over(self) -> None:
        """The upgrade that has begun has come to nothing."""
        if self._channel is not None:
            self._is_alone(f"process {self.helps} has not taken over again")

    def other_has_ended(self) -> None:
        """The process that this one has taken over from has ended."""
        if self.helps and self._channel is None:
            self._is_alone(f"process {self.helps} is gone")

    def _is_alone(self, why: str) -> None:
        pid = os.getpid()
        log.error("%s: process %d serves on in its place, until %d gets SIGTERM", why, pid, pid)
        self.helps, self._channel = 0, None
