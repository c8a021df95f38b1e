"""The end of several workers: they are told to stop, and ended if they do not."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress

import anyio

from ...config.model import Drain
from ...errors import EasewsError
from ..serving.binding import close_all
from ..stopping import GRACE, Signals, told_to_hurry
from .offer import Offer
from .workerprocess import WorkerProcess

log: logging.Logger = logging.getLogger("easews")

#: Seconds that a worker has to answer what is asked of it.
ANSWER_PATIENCE = 5.0


class Ending:
    """The end of `processes`, which serve `offer`; whoever ends is taken out of them."""

    def __init__(self, processes: Collection[WorkerProcess], offer: Offer) -> None:
        self._processes = processes
        self._offer = offer

    async def run(self, signals: Signals, stopped: anyio.Event) -> None:
        """Have all of them stop, and wait until they have `stopped`. A further signal has them
        hurry, and another one ends them.
        """
        drain = self._offer.config.gateway.drain
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_all, "stop")
            tasks.start_soon(self._close_sockets, drain.delay)
            tasks.start_soon(self._hurry, signals)
            for process in [*self._processes]:
                tasks.start_soon(_end_anyway, process, drain)
            await stopped.wait()
            tasks.cancel_scope.cancel()
        close_all(self._offer.sockets)

    async def _tell_all(self, what: str) -> None:
        async with anyio.create_task_group() as tasks:
            for process in [*self._processes]:
                if process.offer is None:
                    process.kill()  # it has not begun to serve
                else:
                    tasks.start_soon(self._tell, process, what)

    async def _tell(self, process: WorkerProcess, what: str) -> None:
        with suppress(EasewsError):  # it may end before it answers
            await process.calls.call(what)

    async def _close_sockets(self, delay: float) -> None:
        """The workers close theirs now. Nobody may think that this process listens."""
        await anyio.sleep(delay)
        close_all(self._offer.sockets)

    async def _hurry(self, signals: Signals) -> None:
        await told_to_hurry(signals)
        await self._tell_all("hurry")
        await told_to_hurry(signals)
        self._kill_all()

    def _kill_all(self) -> None:
        for process in self._processes:
            process.kill()


async def _end_anyway(process: WorkerProcess, drain: Drain) -> None:
    """Each worker ends by itself, unless its event loop hangs."""
    await anyio.sleep(drain.delay + drain.window + GRACE)
    if drain.per_second:
        await _has_sent_closes(process)
    await anyio.sleep(drain.deadline + GRACE + ANSWER_PATIENCE)
    if not process.ended.is_set():
        log.critical("worker %d has not stopped in time: it is ended", process.number)
        process.kill()


async def _has_sent_closes(process: WorkerProcess) -> None:
    """Wait until each of its sessions has got its Close: with a cap that may take longer than the
    window. A worker that hangs meanwhile is ended for want of signs of life.
    """
    with suppress(EasewsError):  # it has ended
        # No event comes from another process.
        while (await process.calls.call("status"))["draining"]:  # noqa: ASYNC110
            await anyio.sleep(GRACE)
