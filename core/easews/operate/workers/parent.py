"""The process around workers: it binds sockets, reads configs, takes signals, serves nothing."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import anyio

from ...config.model import Config
from ...observe.logs import writing_logs
from ...server.sharing import ABSENT
from ..announcing import log_builds
from ..eventloop import run_loop
from ..handover.taking import Taker
from ..handover.told import Told
from ..handover.upgrading import Upgrader
from ..notifying import Notifier, passed_sockets, report_ready, status_text, warn_of_unused
from ..reloading import Reloader
from ..serving.binding import bind_all
from ..signalling import after_loop, follow, heeding, told_to_stop, until_told
from ..systemd import take
from .fromworkers import WorkersOffering
from .offer import Offer
from .processes import PLACES
from .toworkers import WorkersTaker
from .worker import WorkerArguments, counts_in
from .workers import Workers

log: logging.Logger = logging.getLogger("easews")

#: What goes on beside the workers until they have stopped.
Companion = Callable[[Workers], Coroutine[Any, Any, None]]


def run_workers(
    config: Config,
    reloader: Reloader,
    upgrader: Upgrader,
    count: int,
    follows: Taker | None = None,
    *,
    backend: str = "asyncio",
    log_format: str | None = None,
    companions: Sequence[Companion] = (),
    measures: bool = False,
) -> int:
    """As `process.run`, in `count` processes that this one starts. They count for their metrics if
    somebody `measures`.
    """
    systemd = take(os.environ, os.getpid())
    log_format = log_format or config.gateway.log_format
    shared = _shared_file(count * PLACES)
    with writing_logs(log_format, turns=shared):
        passed = passed_sockets(systemd.passed)
        sockets = bind_all(config.servers, passed if follows is None else follows.sockets)
        warn_of_unused(passed)
        log_builds(config)

        def arguments_for(number: int, place: int, channel: int) -> WorkerArguments:
            rest = backend, log_format, channel, shared, measures
            return WorkerArguments(number, place, count, *rest)

        offer, counts = Offer(config, sockets, 1), counts_in(shared)
        make = partial(Workers, offer, arguments_for, counts, passed)
        upgrader.notifier = notifier = Notifier(systemd)
        args = make, reloader, upgrader, follows, companions, notifier
        status = run_loop(_run, *args, backend=backend)
    return after_loop(status, upgrader)


def _shared_file(count: int) -> int:
    """A file without a name that has so many counts: nobody serves yet."""
    with tempfile.TemporaryFile() as file:
        file.write(ABSENT.to_bytes(8, sys.byteorder) * count)
        file.flush()
        return os.dup(file.fileno())


async def _run(
    make: Callable[[], Workers],
    reloader: Reloader,
    upgrader: Upgrader,
    follows: Taker | None,
    companions: Sequence[Companion],
    notifier: Notifier,
) -> int:
    workers = make()

    async def run(signals: Told) -> int:
        async with anyio.create_task_group() as beside:
            if follows is not None:
                taker = WorkersTaker(follows, workers)
                beside.start_soon(_follow, follows, taker, upgrader, notifier, workers)
            beside.start_soon(workers.supervise)
            beside.start_soon(_report, workers, reloader, notifier)
            for companion in companions:
                beside.start_soon(companion, workers)
            with workers.until_failed:
                side_of = partial(WorkersOffering, workers)
                await until_told(workers, reloader, upgrader, side_of, signals)
            # Helpers go on if this program cannot serve.
            await told_to_stop(upgrader, follows if workers.failure is None else None)
            await workers.stop(signals)
            beside.cancel_scope.cancel()
        if workers.failure is not None:
            raise workers.failure
        log.info("all workers have stopped")
        return workers.status

    return await heeding(run, upgrader, follows)


async def _follow(
    follows: Taker,
    taker: WorkersTaker,
    upgrader: Upgrader,
    notifier: Notifier,
    workers: Workers,
) -> None:
    def in_charge() -> None:
        notifier.ready(status_text(workers))

    take = partial(taker.run, in_charge)
    await follow(follows, upgrader, take, lambda: workers.state == "ready")


async def _report(workers: Workers, reloader: Reloader, notifier: Notifier) -> None:
    await workers.settled.wait()
    report_ready(workers, reloader, notifier)
    await notifier.beat(partial(status_text, workers))
