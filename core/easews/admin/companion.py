"""The admin interface of a gateway, of one process or several: what goes on beside it."""

from __future__ import annotations

from collections.abc import Mapping

from ..observe.metrics.catalogue import RELOADS
from ..observe.metrics.exposition import exposed
from ..observe.metrics.totals import Process, Totals
from ..operate.controlling import GatewayControl
from ..operate.handover.taking import Taker
from ..operate.handover.upgrading import Upgrader
from ..operate.metrics import measuring
from ..operate.process import Companion
from ..operate.reloading import Reloader
from ..operate.serving.gateway import Gateway
from ..operate.workers.fanout import WorkersControl
from ..operate.workers.parent import Companion as WorkersCompanion
from ..operate.workers.workerprocess import WorkerProcess
from ..operate.workers.workers import Workers
from .admin import Admin


def administering(
    interface: Admin,
    reloader: Reloader,
    backend: str,
    upgrader: Upgrader | None = None,
    follows: Taker | None = None,
) -> Companion:
    """What serves `interface` for a gateway, and counts for its metrics, until cancelled."""

    async def administer(gateway: Gateway) -> None:
        async with measuring(gateway, reloader.outcomes) as metrics:
            control = GatewayControl(gateway, reloader, backend, metrics, upgrader, follows)
            await interface.serve(control, gateway.beside.append)

    return administer


def administering_workers(
    interface: Admin, reloader: Reloader, upgrader: Upgrader | None = None
) -> WorkersCompanion:
    """The same for several workers, which count by themselves."""
    totals = Totals()

    async def administer(workers: Workers) -> None:
        workers.replacements.on_end.append(keep)
        control = WorkersControl(workers, reloader, combine, upgrader)
        await interface.serve(control, workers.beside.append)

    def keep(process: WorkerProcess, figures: str) -> None:
        totals.keep({(process.number, process.pid): figures.encode()})

    async def combine(texts: Mapping[Process, bytes]) -> bytes:
        outcomes = [((outcome,), count) for outcome, count in reloader.outcomes.items()]
        return totals.merged(texts, await exposed([(RELOADS, outcomes)]))

    return administer
