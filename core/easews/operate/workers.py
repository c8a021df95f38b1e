"""Several worker processes that serve the same config: started, told what to do, started again.

The workers are programs that this process starts (`worker`), not forks: an event loop, threads, and
whatever plugins make when they are imported cannot be forked, and one way of starting fits the
first start, a restart, and another version of the program. It takes a worker half a second.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence, Sized
from contextlib import asynccontextmanager, suppress

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from ..config.model import Config
from ..errors import EasewsError
from ..server import Listener, ServerTls
from ..server.binding import UnixListener
from ..server.passed import NONE_PASSED, Passed
from ..server.sharing import ABSENT
from ..upstream.balance.sticky import our_secret
from ..upstream.drained import drained_servers
from .announcing import announce
from .binding import Sockets, bind_all, close_all
from .calls import Gone
from .control import State, Status, WorkerState
from .ending import ANSWER_PATIENCE, Ending
from .eventloop import FAILED
from .lifesigns import end_when_it_hangs
from .merging import merged_older
from .offer import Offer
from .reload import Plan, plan
from .rolling import PATIENCE, give_or_kill, roll
from .stopping import Signals
from .supervision import HOPELESS, Supervision, worst
from .supervision import State as WorkerPhase
from .worker import WorkerArguments
from .workerprocess import WorkerProcess

log: logging.Logger = logging.getLogger("easews")

#: What a worker is at, in the words of `Control`.
_STATES: Mapping[WorkerPhase, State] = {
    "waiting": "starting",
    "starting": "starting",
    "ready": "ready",
    "stopping": "stopping",
    "ended": "stopping",
}


class Workers:
    """The workers of a gateway, as one.

    sessions, draining, older   as those of a gateway, when the last reload had come to its end
    tls                         nothing: each worker has its own certificates
    settled                     is set when each worker serves, or has shown that it cannot
    failure                     why it is no use to go on
    until_failed                is cancelled then
    beside                      listeners of companions, as those of a gateway
    on_start                    functions that are called with the process id of each that starts
    """

    def __init__(
        self,
        offer: Offer,
        arguments_for: Callable[[int, int], WorkerArguments],
        counts: memoryview[int],
        passed: Passed = NONE_PASSED,
    ) -> None:
        self.sessions: Sized = ()
        self.draining: int = 0
        self.older: Mapping[int, int] = {}
        self.tls: Mapping[str, ServerTls] = {}
        self.failure: EasewsError | None = None
        self.settled: anyio.Event = anyio.Event()
        self.until_failed: anyio.CancelScope = anyio.CancelScope()
        self.beside: list[Listener] = []
        self.on_start: list[Callable[[int], None]] = []
        self._offer = offer
        self._arguments_for = arguments_for
        self._counts = counts
        self._passed = passed
        self._processes: dict[int, WorkerProcess] = {}
        self._statuses: list[int] = []
        self._announcement: Sequence[str] = ()
        self._changed = anyio.Event()
        self._stopped = anyio.Event()
        self._replacing = anyio.Lock()
        self._has_left = False
        self._supervision = Supervision(len(counts), 0.0)

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

    @property
    def status(self) -> int:
        """The exit status, once all have stopped."""
        return worst(self._statuses)

    async def supervise(self) -> None:
        """Start workers, and start them again, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                for worker in self._supervision.due(anyio.current_time()):
                    self._start(worker.number, tasks)
                self._changed = anyio.Event()
                with anyio.CancelScope(deadline=self._supervision.next_due):
                    await self._changed.wait()

    def _start(self, number: int, tasks: TaskGroup) -> None:
        self._supervision.started(number, anyio.current_time())
        try:
            process = WorkerProcess(lambda channel: self._arguments_for(number, channel))
        except OSError as error:
            log.error("worker %d cannot be started: %s", number, error.strerror)
            self._has_ended(number, None, FAILED)
        else:
            self._processes[number] = process
            for call in self.on_start:
                call(process.pid)
            tasks.start_soon(self._attend, process)

    async def _attend(self, process: WorkerProcess) -> None:
        """From the start of a process to its end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process.calls.run)
            tasks.start_soon(self._bring_up, process, tasks)
            status = await process.wait()
            tasks.cancel_scope.cancel()
        process.close()
        self._counts[process.number - 1] = ABSENT  # it may not have said so
        del self._processes[process.number]
        self._has_ended(process.number, process, status)

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

    def _is_ready(self, process: WorkerProcess) -> None:
        log.info("worker %d serves, its process is %d", process.number, process.pid)
        self._supervision.ready(process.number, anyio.current_time())
        self._settle()
        self._changed.set()

    def _settle(self) -> None:
        """Announce what is served once each worker serves, or has shown that it cannot."""
        if self._supervision.has_settled and not self.settled.is_set():
            for line in self._announcement:
                announce(line)
            self.settled.set()

    def _has_ended(self, number: int, process: WorkerProcess | None, status: int) -> None:
        """A process has ended, or could not be started."""
        supervision = self._supervision
        if supervision.stopping and process is not None and process.offer is not None:
            self._statuses.append(status)
        pause = supervision.ended(number, anyio.current_time())
        if pause is not None:
            how = f"by {_name(-status)}" if status < 0 else f"with status {status}"
            when = f"in {pause:g} s" if pause else "at once"
            if not supervision.was_ready and process is not None and process.refusal:
                self._fail(process.refusal)
            elif supervision.is_hopeless:
                self._fail(f"no worker serves: {HOPELESS} in a row have ended, the last {how}")
            else:
                log.error("worker %d has ended %s; another is started %s", number, how, when)
                self._settle()
        if supervision.is_over:
            self._stopped.set()
        self._changed.set()

    def _fail(self, why: str) -> None:
        self.failure = EasewsError(why)
        self._supervision.stop(anyio.current_time())
        self.until_failed.cancel()

    async def replace(self, config: Config) -> Plan:
        """Have one worker after the other serve `config`.

        When one cannot, those before it go back to what they had, and this raises why: then
        nothing has changed.
        """
        async with self._replacing:
            if self._has_left:
                raise EasewsError("easews is stopping: another process serves")
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

    def hold(self, *, held: bool = True) -> None:
        """Start no more processes, until this is taken back."""
        self._supervision.held = held
        self._changed.set()

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

    @property
    def state(self) -> State:
        """What the gateway is at."""
        if self._supervision.stopping:
            return "stopping"
        return "ready" if self._supervision.of("ready") else "starting"

    def states(self, sessions: Mapping[int, int]) -> list[WorkerState]:
        """The workers; `sessions` are those of each that has told."""
        return [
            {
                "number": worker.number,
                "pid": process.pid if (process := self._processes.get(worker.number)) else 0,
                "state": _STATES[worker.state],
                "sessions": sessions.get(worker.number, 0),
                "restarts": worker.restarts,
            }
            for worker in self._supervision.workers
        ]

    def serving(self) -> list[WorkerProcess]:
        """Those that serve, in the order of their numbers."""
        ready = self._supervision.of("ready")
        return [self._processes[worker.number] for worker in ready]

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
        self._supervision.stop(anyio.current_time())
        if self._supervision.is_over:
            self._stopped.set()
        await Ending(self._processes, self._offer).run(signals, self._stopped)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
