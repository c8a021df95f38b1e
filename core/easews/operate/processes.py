"""The processes of several workers: started, started again, waited for.

They are programs that this process starts (`worker`), not forks: an event loop, threads, and
whatever plugins make when they are imported cannot be forked, and one way of starting fits the
first start, a restart, and another version of the program. It takes a worker half a second.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping, Sequence

import anyio
from anyio.abc import TaskGroup

from ..errors import EasewsError
from ..server.sharing import ABSENT
from .announcing import announce
from .control import State, WorkerState
from .ending import Ending
from .eventloop import FAILED
from .offer import Offer
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


class Processes:
    """The processes. `_bring_up` has each of them serve.

    settled       is set when each worker serves, or has shown that it cannot
    failure       why it is no use to go on
    until_failed  is cancelled then
    on_start      functions that are called with the process id of each that starts
    """

    def __init__(
        self, arguments_for: Callable[[int, int], WorkerArguments], counts: memoryview[int]
    ) -> None:
        self.failure: EasewsError | None = None
        self.settled: anyio.Event = anyio.Event()
        self.until_failed: anyio.CancelScope = anyio.CancelScope()
        self.on_start: list[Callable[[int], None]] = []
        self._arguments_for = arguments_for
        self._counts = counts
        self._processes: dict[int, WorkerProcess] = {}
        self._statuses: list[int] = []
        self._announcement: Sequence[str] = ()
        self._changed = anyio.Event()
        self._stopped = anyio.Event()
        self._supervision = Supervision(len(counts), 0.0)

    @property
    def status(self) -> int:
        """The exit status, once all have stopped."""
        return worst(self._statuses)

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
        """Have a new process serve, and see that it lives."""
        raise NotImplementedError

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
            when = "after the upgrade, if that fails" if supervision.held else _in(pause)
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

    def hold(self, *, held: bool = True) -> None:
        """Start no more processes, until this is taken back."""
        self._supervision.held = held
        self._changed.set()

    async def _stop(self, offer: Offer, signals: Signals) -> None:
        """Have all processes stop, which serve `offer`."""
        self._supervision.stop(anyio.current_time())
        if self._supervision.is_over:
            self._stopped.set()
        await Ending(self._processes, offer).run(signals, self._stopped)


def _in(seconds: float) -> str:
    return f"in {seconds:g} s" if seconds else "at once"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
