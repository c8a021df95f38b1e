"""The end of a gateway: its progress, a second signal, and an end whatever happens."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import anyio

from ..observe.logs import end_process, log_event
from .serving.gateway import Gateway, Unfinished

log: logging.Logger = logging.getLogger("easews")

#: Why something that is asked for is refused.
STOPPING = "easews is stopping"
#: Seconds until what does not end by itself is ended with the process.
GRACE = 2.0
#: Seconds until a stop tells what it waits for; clients that answer a Close need less.
FIRST_TOLD = 0.5
#: Seconds until it tells it again.
TOLD_EVERY = 5.0

Signals = AsyncIterator[signal.Signals]


class Stopped(NamedTuple):
    """What a stop has come to: how many sessions have ended, what is to be cut, and how many
    seconds it took.
    """

    ended: int
    cut: Unfinished
    seconds: float

    def tell(self) -> None:
        """Log it: by this line one sees that the process has not crashed."""
        fields = {
            "pid": os.getpid(),
            "sessions": self.ended,
            "cut_sessions": self.cut.sessions,
            "cut_requests": self.cut.requests,
            "seconds": round(self.seconds, 3),
        }
        log_event(log, "stopped", fields)


async def stop(gateway: Gateway, signals: Signals) -> Stopped:
    """Stop `gateway`, and return what is to be cut. A second signal makes it return at once."""
    began, ended = anyio.current_time(), list[str]()
    gateway.sessions.on_end.append(lambda session, _: ended.append(session.opening.id))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_hurry, signals, tasks.cancel_scope)
        tasks.start_soon(_tell_progress, gateway)
        await gateway.stop()
        tasks.cancel_scope.cancel()
    unfinished = gateway.unfinished
    if any(unfinished):
        log.warning("%s did not end in time: cut", told(unfinished))
    return Stopped(len(ended), unfinished, anyio.current_time() - began)


async def end_anyway(last: Callable[[], Awaitable[None]] | None = None) -> None:
    """End the process if it has not ended within GRACE seconds; then `last` is done first."""
    await anyio.sleep(GRACE)
    log.critical("a filter goes on although it was cancelled: the process is ended without it")
    if last is not None:
        with anyio.CancelScope(shield=True):  # should the filter end now
            await last()
    end_process(1)


async def _hurry(signals: Signals, stopping: anyio.CancelScope) -> None:
    await told_to_hurry(signals)
    stopping.cancel()


async def told_to_hurry(signals: Signals) -> None:
    """Wait for a signal that is not to reload or to upgrade."""
    while (told := await anext(signals)) in (signal.SIGHUP, signal.SIGUSR2):
        log.warning("%s is ignored: easews is stopping", told.name)


async def _tell_progress(gateway: Gateway) -> None:
    await anyio.sleep(FIRST_TOLD)
    while True:
        log.info("stopping: %s; one more signal ends it at once", progress(gateway))
        await anyio.sleep(TOLD_EVERY)


def progress(gateway: Gateway) -> str:
    """What a gateway that stops waits for."""
    unfinished = gateway.unfinished
    verb = "is" if sum(unfinished) == 1 else "are"
    text = f"{told(unfinished)} {verb} open" if any(unfinished) else "nothing is open"
    if gateway.state == "draining":
        return f"{text}, and requests are served for drain.delay, {gateway.drain.delay:g} s"
    waiting = gateway.draining
    return f"{text}, of which {waiting} will get a Close" if waiting else text


def told(unfinished: Unfinished) -> str:
    """How much that is, in words."""
    counts = ((unfinished.sessions, "session"), (unfinished.requests, "request"))
    return " and ".join(f"{count} {what}{'s' * (count != 1)}" for count, what in counts if count)
