"""The processes of several workers: started, started again, waited for.

They are programs that this process starts (`worker`), not forks: an event loop, threads, and
whatever plugins make when they are imported cannot be forked, and one way of starting fits the
first start, a restart, and another version of the program. It takes a worker half a second.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ...errors import EasewsError
from ...server.sharing import ABSENT
from ..announcing import announce
from ..control import State, WorkerState
from ..eventloop import FAILED
from ..stopping import Signals
from .ending import Ending
from .offer import Offer
from .supervision import HOPELESS, Supervision, worst
from .supervision import State as WorkerPhase
from .worker import WorkerArguments
from .workerprocess import WorkerProcess

log: logging.Logger = logging.getLogger("easews")

#: How many processes there may be for each worker, with those that were replaced and still drain.
PLACES = 2

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

    A worker has one process, and for as long as it is replaced another one beside. `counts` have
    twice as many places as there are workers.
    """

    def __init__(
        self, arguments_for: Callable[[int, int, int], WorkerArguments], counts: memoryview[int]
    ) -> None:
        self.failure: EasewsError | None = None
        self.settled: anyio.Event = anyio.Event()
        self.until_failed: anyio.CancelScope = anyio.CancelScope()
        self.on_start: list[Callable[[int], None]] = []
        self._arguments_for = arguments_for
        self._counts = counts
        self._processes: dict[int, WorkerProcess] = {}
        self._living: list[WorkerProcess] = []  # with those that are beside
        self._statuses: list[int] = []
        self._announcement: Sequence[str] = ()
        self._changed = anyio.Event()
        self._stopped = anyio.Event()
        self._supervision = Supervision(len(counts) // PLACES, 0.0)

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
                "pid": self.pid_of(worker.number),
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

    def reachable(self) -> list[WorkerProcess]:
        """The same, and one that takes over sessions to serve in the place of one of these."""
        return [*self.serving(), *([] if self._successor is None else [self._successor])]

    @property
    def _successor(self) -> WorkerProcess | None:
        """The process that serves, and is to take the place of another one."""
        beside = (it for it in self._living if it.takes_place and it.offer is not None)
        return next(beside, None)

    async def supervise(self) -> None:
        """Start workers, and start them again, until cancelled."""
        async with anyio.create_task_group() as self._tasks:
            while True:
                for worker in self._supervision.due(anyio.current_time()):
                    self._start(worker.number)
                self._changed = anyio.Event()
                with anyio.CancelScope(deadline=self._supervision.next_due):
                    await self._changed.wait()

    def _start(self, number: int) -> None:
        self._supervision.started(number, anyio.current_time())
        try:
            self._processes[number] = self._started(number)
        except OSError as error:
            log.error("worker %d cannot be started: %s", number, error.strerror)
            self._has_ended(number, None, FAILED)

    def _started(self, number: int) -> WorkerProcess:
        taken = {process.place for process in self._living}
        place = next(it for it in range(len(self._counts)) if it not in taken)
        process = WorkerProcess(lambda channel: self._arguments_for(number, place, channel))
        self._living.append(process)
        for call in self.on_start:
            call(process.pid)
        self._tasks.start_soon(self._attend, process)
        return process

    def start_soon(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do this beside, until the processes are supervised no longer."""
        self._tasks.start_soon(run)

    def start_beside(self, number: int) -> WorkerProcess:
        """Start a process that is to take the place of a worker's. OSError when it cannot."""
        process = self._started(number)
        process.takes_place = True
        return process

    def in_charge(self, number: int) -> WorkerProcess | None:
        """The process that serves as this worker."""
        return next((it for it in self.serving() if it.number == number), None)

    def has(self, number: int) -> bool:
        """Whether there is a worker with this number."""
        return 0 < number <= len(self._supervision.workers)

    def pid_of(self, number: int) -> int:
        """The process id of this worker; 0 when it has no process."""
        return process.pid if (process := self._processes.get(number)) else 0

    @property
    def beside_others(self) -> int:
        """How many processes there are that no worker has, or that start to replace one."""
        return sum(1 for it in self._living if self._processes.get(it.number) is not it)

    def put_in_place(self, process: WorkerProcess) -> None:
        """It serves in the place of the worker's process before."""
        process.takes_place = False
        self._processes[process.number] = process
        self._supervision.replaced(process.number, anyio.current_time())

    async def _attend(self, process: WorkerProcess) -> None:
        """From the start of a process to its end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process.calls.run)
            tasks.start_soon(self._bring_up, process, tasks)
            status = await process.wait()
            tasks.cancel_scope.cancel()
        process.close()
        process.end = _how(status)
        self._counts[process.place] = ABSENT  # it may not have said so
        self._living.remove(process)
        process.settled.set()
        if self._processes.get(process.number) is not process:
            self._other_has_ended(process, status)
        else:
            self._give_place(process, status)
        process.ended.set()

    def _give_place(self, process: WorkerProcess, status: int) -> None:
        """A worker's process has ended. It may have been about to be replaced."""
        successor = self._successor
        if successor is not None and successor.number == process.number and self.state == "ready":
            log.error(
                "worker %d has ended %s; its new process goes on", process.number, _how(status)
            )
            self.put_in_place(successor)
            return
        del self._processes[process.number]
        for other in self._living:
            if other.takes_place and other.number == process.number and other.offer is None:
                other.kill()  # another one is started
        self._has_ended(process.number, process, status)

    def _other_has_ended(self, process: WorkerProcess, status: int) -> None:
        if self._supervision.stopping:
            if process.offer is not None:
                self._statuses.append(status)
            self._check_stopped()
        elif status:
            which = "is to have" if process.takes_place else "had before"
            number, how = process.number, process.end
            log.warning("the process that worker %d %s has ended %s", number, which, how)

    async def _bring_up(self, process: WorkerProcess, tasks: TaskGroup) -> None:
        """Have a new process serve, and see that it lives."""
        raise NotImplementedError

    def _is_ready(self, process: WorkerProcess) -> None:
        log.info("worker %d serves, its process is %d", process.number, process.pid)
        process.settled.set()
        if self._processes.get(process.number) is process:
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
            how = _how(status)
            when = "after the upgrade, if that fails" if supervision.held else _in(pause)
            if not supervision.was_ready and process is not None and process.refusal:
                self._fail(process.refusal)
            elif supervision.is_hopeless:
                self._fail(f"no worker serves: {HOPELESS} in a row have ended, the last {how}")
            else:
                log.error("worker %d has ended %s; another is started %s", number, how, when)
                self._settle()
        self._check_stopped()
        self._changed.set()

    def _check_stopped(self) -> None:
        if self._supervision.is_over and not self._living:
            self._stopped.set()

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
        self._check_stopped()
        await Ending(self._living, offer).run(signals, self._stopped)


def _in(seconds: float) -> str:
    return f"in {seconds:g} s" if seconds else "at once"


def _how(status: int) -> str:
    return f"by {_name(-status)}" if status < 0 else f"with status {status}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
