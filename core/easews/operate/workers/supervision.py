"""Which worker processes are to be started, and when. Pure: times and events in, decisions out.

A worker is in one of these states:

    waiting   it has no process; one is due at a certain time
    starting  its process has been started
    ready     it serves
    stopping  it was told to stop
    ended     its process has ended, and no other follows

The first process is started alone: a fault that all of them would have is told once. A process
that ends is followed by another at once, and if that does not live long either, later and later.
One that serves is asked for signs of life, and ended when it gives none for too long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Literal

State = Literal["waiting", "starting", "ready", "stopping", "ended"]

#: Seconds before a process is started again: none at first, then these, doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: A worker that has been ready for as many seconds has recovered: its ends are counted anew.
RECOVERED = 60.0
#: How many processes may end in a row before any worker has ever been ready.
HOPELESS = 3
#: Seconds that a worker has to give a sign of life, and after which it is asked again.
SIGN_EVERY = 5.0
#: Seconds without a sign after which a worker is ended.
MOST_SILENT = 30.0


@dataclass(slots=True)
class Worker:
    """One of the workers, numbered from 1.

    since     when it got into its state
    due       when its process is to be started; only while it is waiting
    ends      how many of its processes have ended in a row, each soon after its start
    restarts  how many processes it has had after the first one
    """

    number: int
    state: State = "waiting"
    since: float = 0.0
    due: float = inf
    ends: int = 0
    restarts: int = 0


class Supervision:
    """The workers of a gateway."""

    def __init__(self, count: int, now: float) -> None:
        self.workers: list[Worker] = [Worker(number, since=now) for number in range(1, count + 1)]
        self.workers[0].due = now
        self.was_ready: bool = False
        self.stopping: bool = False
        self.held: bool = False  # nothing is started as long as that is so
        self._ends_at_first = 0

    def __getitem__(self, number: int) -> Worker:
        return self.workers[number - 1]

    def of(self, *states: State) -> list[Worker]:
        """The workers that are in one of these states."""
        return [worker for worker in self.workers if worker.state in states]

    @property
    def next_due(self) -> float:
        """When the next process is to be started; infinity when none is."""
        return min((worker.due for worker in self._may_start), default=inf)

    def due(self, now: float) -> list[Worker]:
        """Those whose process is to be started now."""
        return [worker for worker in self._may_start if worker.due <= now]

    @property
    def _may_start(self) -> list[Worker]:
        return [] if self.held else self.of("waiting")

    @property
    def is_hopeless(self) -> bool:
        """Whether it is no use to go on: processes end, and none has ever been ready."""
        return not self.was_ready and self._ends_at_first >= HOPELESS

    @property
    def has_settled(self) -> bool:
        """Whether each worker is ready, or has shown that it cannot be."""
        return self.was_ready and all(
            worker.state == "ready" or worker.ends for worker in self.workers
        )

    @property
    def is_over(self) -> bool:
        """Whether all have stopped."""
        return self.stopping and all(worker.state == "ended" for worker in self.workers)

    def started(self, number: int, now: float) -> None:
        """Its process has been started."""
        self._enter(self[number], "starting", now)

    def ready(self, number: int, now: float) -> None:
        """It serves. With the first one that does, all others are due."""
        if self[number].state == "starting":
            self._enter(self[number], "ready", now)
        if not self.was_ready:
            self.was_ready = True
            for worker in self.of("waiting"):
                worker.due = min(worker.due, now)

    def replaced(self, number: int, now: float) -> None:
        """Another process serves in the place of its own: that is no end."""
        worker = self[number]
        worker.ends = 0
        self._enter(worker, "stopping" if self.stopping else "ready", now)

    def ended(self, number: int, now: float) -> float | None:
        """Its process has ended. Returns after how many seconds another is due; None: never."""
        worker = self[number]
        if self.stopping:
            self._enter(worker, "ended", now)
            return None
        if worker.state == "ready" and now - worker.since >= RECOVERED:
            worker.ends = 0
        worker.ends += 1
        worker.restarts += 1
        self._ends_at_first += not self.was_ready
        pause = pause_after(worker.ends)
        self._enter(worker, "waiting", now, now + pause)
        return pause

    def stop(self, now: float) -> list[Worker]:
        """Start nothing more. Returns the workers that have to be told."""
        self.stopping = True
        for worker in self.of("waiting"):
            self._enter(worker, "ended", now)
        told = self.of("starting", "ready")
        for worker in told:
            self._enter(worker, "stopping", now)
        return told

    def _enter(self, worker: Worker, state: State, now: float, due: float = inf) -> None:
        worker.state, worker.since, worker.due = state, now, due


def pause_after(ends: int) -> float:
    """How many seconds to wait after so many ends in a row."""
    return 0.0 if ends <= 1 else min(FIRST_PAUSE * 2.0 ** min(ends - 2, 30), LONGEST_PAUSE)


class Silence:
    """How long a worker has given no sign of life.

    Time is counted by looks, each SIGN_EVERY seconds after the one before. A clock would also count
    the time in which this process was stopped itself, such as in a container that was paused.
    """

    def __init__(self) -> None:
        self.seconds: float = 0.0
        self._is_asked = False

    @property
    def is_too_long(self) -> bool:
        """Whether the worker is to be ended."""
        return self.seconds >= MOST_SILENT

    def ask(self) -> bool:
        """Whether the worker is to be asked now: not while it has to answer."""
        is_new, self._is_asked = not self._is_asked, True
        return is_new

    def answered(self) -> float:
        """It has answered. Returns for how many seconds it had been silent."""
        seconds, self.seconds, self._is_asked = self.seconds, 0.0, False
        return seconds

    def look(self) -> bool:
        """SIGN_EVERY seconds have passed. Returns whether this is when its silence is noticed."""
        if not self._is_asked:
            return False
        self.seconds += SIGN_EVERY
        return self.seconds == SIGN_EVERY


#: The exit statuses of a process, the worst one last; others are worse than these.
_STATUSES = (0, 3, 1)


def worst(statuses: Iterable[int]) -> int:
    """The exit status of a gateway whose workers have ended with these."""
    known = [status if status in _STATUSES else 1 for status in statuses]
    return max(known, key=_STATUSES.index, default=0)
