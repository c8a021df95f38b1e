"""Several worker processes that serve the same config: started, told what to do, started again."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sized
from contextlib import asynccontextmanager, suppress

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from ...config.model import Config
from ...errors import EasewsError
from ...server import Listener, ServerTls
from ...server.binding import UnixListener
from ...server.passed import NONE_PASSED, Passed
from ...upstream.balance.sticky import our_secret
from ...upstream.drained import drained_servers
from ..control import Status
from ..serving.binding import Sockets, bind_all, close_all
from ..serving.reload import Plan, plan
from ..stopping import STOPPING, Signals
from .calls import Gone
from .ending import ANSWER_PATIENCE
from .lifesigns import end_when_it_hangs
from .merging import merged_older
from .offer import Offer
from .processes import PLACES, Processes
from .replacing import Replacements
from .rolling import PATIENCE, give_or_kill, roll
from .worker import WorkerArguments
from .workerprocess import WorkerProcess

log: logging.Logger = logging.getLogger("easews")


class Workers(Processes):
    """The workers of a gateway, as one.

    sessions, draining, older   as those of a gateway, when the last reload had come to its end
    tls                         nothing: each worker has its own certificates
    beside                      listeners of companions, as those of a gateway
    replacements                those of single workers by new processes
    """

    def __init__(
        self,
        offer: Offer,
        arguments_for: Callable[[int, int, int], WorkerArguments],
        counts: memoryview[int],
        passed: Passed = NONE_PASSED,
    ) -> None:
        super().__init__(arguments_for, counts)
        self.sessions: Sized = ()
        self.draining: int = 0
        self.older: Mapping[int, int] = {}
        self.tls: Mapping[str, ServerTls] = {}
        self.beside: list[Listener] = []
        self._offer = offer
        self._passed = passed
        self._replacing = anyio.Lock()
        self._has_left = False
        self.replacements: Replacements = Replacements(self, self.unchanged, self._obstacle)

    @property
    def config(self) -> Config:
        """What is served."""
        return self._offer.config

    @property
    def generation(self) -> int:
        """How many configs have been served."""
        return self._offer.generation

    @property
    def sockets(self) -> Sockets:
        """The listening sockets of all servers."""
        return self._offer.sockets

    async def _bring_up(self, process: WorkerProcess, tasks: TaskGroup) -> None:
        """Have a new process serve what is served, and see that it lives."""
        offer = self._offer
        layout, fds = offer.message(offer.sockets)
        try:
            with anyio.fail_after(PATIENCE):
                asked = (our_secret().hex(), offer.generation, layout, drained_servers())
                self._announcement = await process.calls.call("serve", *asked, fds=fds)
            process.offer = offer
        except (EasewsError, OSError, TimeoutError) as error:
            if not isinstance(error, EasewsError):
                process.kill()  # it does not say anything any more
            elif not isinstance(error, Gone):
                process.refusal = str(error)
                if self._supervision.was_ready:
                    log.error("worker %d cannot serve: %s", process.number, error)
        else:
            self._is_ready(process)
            tasks.start_soon(end_when_it_hangs, process)
            async with self._replacing:  # there may have been a reload meanwhile
                await self._bring_up_to_date()

    def _obstacle(self) -> str:
        """Why no worker can be replaced now; empty if it can."""
        if self._has_left or self.state == "stopping":
            return STOPPING
        if self.beside_others >= len(self._counts) // PLACES:
            return "too many processes that were replaced before are draining their sessions"
        return ""

    async def replace(self, config: Config) -> Plan:
        """Have one worker after the other serve `config`.

        When one cannot, those before it go back to what they had, and this raises why: then
        nothing has changed.
        """
        async with self._replacing:
            if self._has_left:
                raise EasewsError(f"{STOPPING}: another process serves")
            before = self._offer
            changes = await to_thread.run_sync(plan, before.config, config)
            if changes.changes:
                opened = bind_all(changes.opens, self._passed)
                try:
                    kept = {new: before.sockets[old] for new, old in changes.keeps.items()}
                    sockets = {**kept, **opened}
                    offer = await to_thread.run_sync(Offer, config, sockets, before.generation + 1)
                    await roll(self.serving(), before, offer, changes)
                except BaseException:
                    close_all(opened)
                    raise
                self._commit(offer, changes)
                await self._bring_up_to_date()
            await self._count()
            return changes

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """No other config is served while the block runs."""
        async with self._replacing:
            yield

    def leave(self) -> None:
        """Serve no other config from now on: another process serves."""
        self._has_left = True

    def _commit(self, offer: Offer, changes: Plan) -> None:
        before, self._offer = self._offer, offer
        for name in changes.closes:
            close_all({name: before.sockets[name]})
        for spec in offer.config.servers:
            for sock in offer.sockets[spec.name]:
                if isinstance(sock, UnixListener):
                    sock.set_mode(spec.socket_mode)

    async def _bring_up_to_date(self) -> None:
        """There may be workers that began to serve while others were told."""
        for process in self.serving():
            if process.offer is not None and process.offer is not self._offer:
                changes = plan(process.offer.config, self.config)
                await give_or_kill(process, self._offer, changes)

    async def _count(self) -> None:
        """Ask the workers for what is logged of a reload."""
        statuses: list[Status] = []
        for process in self.serving():
            with suppress(EasewsError), anyio.move_on_after(ANSWER_PATIENCE):
                statuses.append(await process.calls.call("status"))
        self.sessions = range(sum(status["sessions"] for status in statuses))
        self.draining = sum(status["draining"] for status in statuses)
        self.older = merged_older(statuses)

    async def stop(self, signals: Signals) -> None:
        """Have all workers stop, and wait for them. A further signal has them hurry, and another
        one ends them.
        """
        self.replacements.stop()
        await self._stop(self._offer, signals)
