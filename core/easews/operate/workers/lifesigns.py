"""Signs of life of a worker: asked for again and again, and what is done when none comes."""

from __future__ import annotations

import logging
from contextlib import suppress

import anyio

from ...errors import EasewsError
from ...upstream.drained import drained_servers
from . import supervision
from .supervision import Silence
from .workerprocess import WorkerProcess

log: logging.Logger = logging.getLogger("easews")

#: Seconds that a process has to write where it hangs.
_LAST_WORDS = 2.0


async def end_when_it_hangs(process: WorkerProcess) -> None:
    """Ask a worker for signs of life, and end it when it has given none for too long."""
    silence = Silence()
    async with anyio.create_task_group() as tasks:
        while not silence.is_too_long:
            if silence.ask():
                tasks.start_soon(_ask, process, silence)
            await anyio.sleep(supervision.SIGN_EVERY)
            if silence.look():
                process.is_silent = True
                seconds = silence.seconds
                log.warning("worker %d has not answered for %g s", process.number, seconds)
        seconds = silence.seconds
        log.error("worker %d is ended: it has not answered for %g s", process.number, seconds)
        process.abort()
        await anyio.sleep(_LAST_WORDS)
        process.kill()
        tasks.cancel_scope.cancel()


async def _ask(process: WorkerProcess, silence: Silence) -> None:
    """The question has what the worker may have missed: which servers are drained."""
    with suppress(EasewsError):  # it has ended
        await process.calls.call("alive", drained_servers())
        process.is_silent = False
        if silence.answered():
            log.info("worker %d answers again", process.number)
