"""A new config on its way through the workers: one serves it after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import anyio

from ...errors import EasewsError
from ..serving.reload import Plan, plan
from .calls import Gone
from .offer import Offer
from .workerprocess import WorkerProcess

log: logging.Logger = logging.getLogger("easews")

#: Seconds that a worker has until it serves a config.
PATIENCE = 60.0


async def roll(
    processes: Iterable[WorkerProcess], before: Offer, offer: Offer, changes: Plan
) -> None:
    """Have one process after the other serve `offer` in place of `before`.

    When one cannot, or this is cancelled, those that may serve it go back to `before`, and this
    raises why.
    """
    asked: list[WorkerProcess] = []
    try:
        for process in processes:
            asked.append(process)
            try:
                await _give(process, offer, changes)
            except EasewsError as error:
                asked.pop()  # nothing has changed there
                if not (isinstance(error, Gone) and asked):  # perhaps because of this config
                    raise
    except BaseException:
        with anyio.CancelScope(shield=True):
            back = plan(offer.config, before.config)
            for process in asked:
                await give_or_kill(process, before, back)
        raise


async def _give(process: WorkerProcess, offer: Offer, changes: Plan) -> None:
    """Have a worker serve `offer`; `changes` are those to it from what it serves."""
    layout, fds = offer.message(spec.name for spec in changes.opens)
    await process.calls.call("replace", offer.generation, layout, fds=fds)
    process.offer = offer


async def give_or_kill(process: WorkerProcess, offer: Offer, changes: Plan) -> None:
    """What another worker serves has to be possible here, or in a process started anew."""
    try:
        with anyio.fail_after(PATIENCE):
            await _give(process, offer, changes)
    except (EasewsError, TimeoutError) as error:
        why = str(error) or "it does not answer"
        log.error("worker %d is ended: %s", process.number, why)
        process.kill()
