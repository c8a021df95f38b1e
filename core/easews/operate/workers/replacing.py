"""A worker replaced on purpose: a new process takes its place, with all sessions that can move.

A second process with the same number starts, and serves what the others serve. Then the old one
hands its sessions over, drains what is left, and ends. Until it has handed over everything that
can move, it goes on if the new one fails.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Literal

import anyio

from ...errors import EasewsError
from ...net.channel import pair
from ...observe.logs import log_event
from ..control import WorkerReplaced
from ..handover.giving import lost_with
from ..handover.inworker import GO_ON_PATIENCE, Moved
from ..stopping import STOPPING
from .calls import Gone
from .ending import ANSWER_PATIENCE
from .processes import Processes
from .workerprocess import WorkerProcess

log: logging.Logger = logging.getLogger("easews")


class Replacements:
    """Replacements of `workers`, one after the other, each in `unchanged`: no reload and no upgrade
    goes on meanwhile. `obstacle` says why none is possible now, or nothing.

    on_end  functions that are called with a process that has handed over, and its last metrics
    """

    def __init__(
        self,
        workers: Processes,
        unchanged: Callable[[], AbstractAsyncContextManager[None]],
        obstacle: Callable[[], str],
    ) -> None:
        self.on_end: list[Callable[[WorkerProcess, str], None]] = []
        self._workers = workers
        self._unchanged = unchanged
        self._obstacle = obstacle
        self._goes_on: anyio.CancelScope | None = None

    def stop(self) -> None:
        """Replace no more: what has not moved by now stays where it is."""
        if self._goes_on is not None:
            self._goes_on.cancel()

    async def replace(self, number: int, why: str) -> WorkerReplaced | None:
        """Replace a worker; None when there is none. It goes on when whoever asks is cancelled."""
        if not self._workers.has(number):
            return None
        results: list[WorkerReplaced] = []
        done = anyio.Event()

        async def run() -> None:
            results.append(await self._replace(number, why))
            done.set()

        self._workers.start_soon(run)
        await done.wait()
        return results[0]

    async def _replace(self, number: int, why: str) -> WorkerReplaced:
        async with self._unchanged():
            refused = STOPPING
            with anyio.CancelScope() as self._goes_on:
                try:
                    return await self._try(number, why)
                except EasewsError as error:
                    refused = str(error)
            log.error("worker %d is not replaced: %s", number, refused)
            return self._result("refused", number, problems=[refused])

    async def _try(self, number: int, why: str) -> WorkerReplaced:
        workers = self._workers
        if wrong := self._obstacle():
            raise EasewsError(wrong)
        if (old := workers.in_charge(number)) is None:
            raise EasewsError("it does not serve at present; another process is started for it")
        log.info("%s: worker %d is replaced", why, number)
        try:
            new = workers.start_beside(number)
        except OSError as error:
            raise EasewsError(f"a new process cannot be started: {error.strerror}") from None
        try:
            await _serves(new)
            return await self._replace_by(old, new)
        except EasewsError:
            new.kill()
            raise

    async def _replace_by(self, old: WorkerProcess, new: WorkerProcess) -> WorkerReplaced:
        try:
            done = await self._hand_over(old, new)
        except Gone:
            await old.ended.wait()
            return await self._without_old(new)
        figures = await _figures(old)
        if new.ended.is_set() and not done["fault"]:
            await _go_on(old)
            done["fault"] = "the new process has ended"
        if done["fault"]:
            raise EasewsError(f"{done['fault']}{lost_with(done['moved'])}")
        self._workers.put_in_place(new)
        for call in self.on_end:
            call(old, figures)
        self._workers.start_soon(lambda: _retire(old))
        return self._tell(new, done["moved"], done["kept"])

    async def _hand_over(self, old: WorkerProcess, new: WorkerProcess) -> Moved:
        """What comes of the sessions. Each process notices when the other one ends: this one then
        closes what it has of the channel between them.
        """
        try:
            ours, theirs = pair()
        except OSError as error:
            why = f"no channel can be opened between the processes: {error.strerror}"
            raise EasewsError(why) from None

        async def take() -> None:
            with theirs, suppress(EasewsError):
                await new.calls.call("take_over", False, fds=[theirs.fileno()])

        with ours:
            self._workers.start_soon(take)
            done: Moved = await old.calls.call("hand_over", fds=[ours.fileno()])
            return done

    async def _without_old(self, new: WorkerProcess) -> WorkerReplaced:
        """The old process has ended before it had handed over everything."""
        if self._workers.in_charge(new.number) is not new:
            raise EasewsError("both processes have ended; another one is started")
        moved = 0
        with suppress(EasewsError), anyio.move_on_after(ANSWER_PATIENCE):
            moved = (await new.calls.call("status"))["sessions"]
        lost = "the old process has ended while it handed over: its other sessions are lost"
        return self._tell(new, moved, 0, [lost])

    def _tell(
        self, new: WorkerProcess, moved: int, kept: int, problems: Sequence[str] = ()
    ) -> WorkerReplaced:
        fields = {"number": new.number, "pid": new.pid, "moved": moved, "kept_behind": kept}
        log_event(log, "worker replaced", fields)
        return self._result("replaced", new.number, moved, kept, problems)

    def _result(
        self,
        outcome: Literal["replaced", "refused"],
        number: int,
        moved: int = 0,
        kept: int = 0,
        problems: Sequence[str] = (),
    ) -> WorkerReplaced:
        return {
            "outcome": outcome,
            "worker": number,
            "pid": self._workers.pid_of(number),
            "moved": moved,
            "kept_behind": kept,
            "problems": [*problems],
        }


async def _serves(new: WorkerProcess) -> None:
    """Wait until it serves. EasewsError when it does not."""
    await new.settled.wait()
    if new.offer is None:
        await new.ended.wait()
        why = new.refusal or f"it has ended {new.end} before it served"
        raise EasewsError(f"the new process does not serve: {why}")


async def _figures(old: WorkerProcess) -> str:
    """Its last metrics; empty when nothing is measured."""
    with suppress(EasewsError), anyio.move_on_after(ANSWER_PATIENCE):
        figures: str = await old.calls.call("metrics")
        return figures
    return ""


async def _go_on(old: WorkerProcess) -> None:
    """Have it accept again."""
    with anyio.move_on_after(GO_ON_PATIENCE):
        await old.calls.call("go_on")


async def _retire(old: WorkerProcess) -> None:
    """Have it drain what is left, and end."""
    with suppress(EasewsError):
        await old.calls.call("retire")
