"""easews with several workers, of which one process fails while a worker is replaced.

`python failing_replacement.py FILE run ...`: the file says when and how. "start": a worker does not
start. "channel": the parent has no descriptor for one between two workers. Else a kind of message,
which time that is sent, and a signal, such as "batch 2 KILL". One process fails; then the file is
gone, but for "channel".
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

from easews.cli.app import main
from easews.net.channel import Channel, pair
from easews.operate.handover import link, offering
from easews.operate.workers import replacing, worker, workers

_WORKER = """
import sys
sys.path[:] = {{path!r}}
from failing_replacement import fail
fail("{file}")
from easews.operate.workers.worker import main
main()
"""


def fail(name: str) -> None:
    """Have this worker fail if it is meant."""
    link.READY_PATIENCE, offering.BATCH_PATIENCE = 3.0, 1.0
    file, sent, send = Path(name), list[str](), Channel.send

    def told() -> list[str]:
        return file.read_text().split() if file.exists() else []

    def due(message: Any) -> bool:
        sent.append(message.get("is", ""))
        return told()[:2] == [sent[-1], str(sent.count(sent[-1]))]

    def end(how: str) -> None:
        file.unlink()
        os.kill(os.getpid(), signal.Signals[f"SIG{how}"])

    async def failing_send(channel: Channel, message: Any, fds: Any = ()) -> None:
        if due(message):
            end(told()[2])
        await send(channel, message, fds)

    if told() == ["start"]:
        file.unlink()
        sys.exit(7)
    if told() == ["hang"]:
        end("STOP")
    Channel.send = failing_send  # type: ignore[assignment, method-assign]


def impatient(file: Path) -> Any:
    """The parent waits for a shorter time for a worker that is to hang."""
    bring_up, patience = workers.Workers._bring_up, vars(workers)["PATIENCE"]

    async def brought_up(*args: Any) -> None:
        hangs = file.exists() and file.read_text() == "hang"  # noqa: ASYNC240
        vars(workers)["PATIENCE"] = 1.0 if hangs else patience
        await bring_up(*args)

    return brought_up


def out_of_descriptors(file: Path) -> Any:
    """A `pair` that fails if it is meant."""

    def paired() -> Any:
        if file.exists() and file.read_text() == "channel":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return pair()

    return paired


if __name__ == "__main__":
    file = sys.argv.pop(1)
    worker._CODE = _WORKER.format(file=file)
    workers.Workers._bring_up = impatient(Path(file))  # type: ignore[method-assign]
    vars(replacing)["pair"] = out_of_descriptors(Path(file))
    main()
