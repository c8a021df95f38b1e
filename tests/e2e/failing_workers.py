"""easews with several workers, of which one process fails at a step of an upgrade.

`python failing_workers.py FILE run ...`: the file says which ("old-parent", "new-parent",
"old-worker", "new-worker"), at which of its steps, and how: "KILL" or "STOP", a signal. A message
of the upgrade that is sent is two steps, before and after it; one that comes is one. Of several
workers the one fails that is there first.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from easews.cli.app import main
from easews.net.channel import Channel
from easews.operate.handover import link, offering
from easews.operate.workers import supervision, worker

_HANGS = "EASEWS_HANGS"
_WORKER = """
import sys
sys.path[:] = {{path!r}}
from failing_workers import fail
fail("{side}-worker", "{file}")
from easews.operate.workers.worker import main
main()
"""


def fail(role: str, name: str) -> None:
    """Have this process fail if it is meant."""
    file, steps = Path(name), 0
    if hangs := os.environ.get(_HANGS):  # else nobody has to be given up
        if hangs.startswith("new"):  # a start may take as long on a busy machine
            link.START_PATIENCE = 15.0
        link.READY_PATIENCE, offering.BATCH_PATIENCE = 4.0, 2.0
        supervision.SIGN_EVERY, supervision.MOST_SILENT = 1.0, 4.0

    def step() -> None:
        nonlocal steps
        steps += 1
        try:
            who, number, how = file.read_text().split()
            if (who, int(number)) != (role, steps):
                return
            file.rename(file.with_name("done"))
        except FileNotFoundError:  # another process has failed
            return
        # In one piece, or a line of another process gets in between.
        os.write(2, f"the {role} fails at step {steps}, its process is {os.getpid()}\n".encode())
        os.kill(os.getpid(), signal.Signals[f"SIG{how}"])

    send, receive = Channel.send, Channel.receive

    async def stepping_send(channel: Channel, message: Any, fds: Any = ()) -> None:
        if "is" not in message:
            await send(channel, message, fds)
            return
        step()
        await send(channel, message, fds)
        step()

    async def stepping_receive(channel: Channel) -> Any:
        message = await receive(channel)
        if message is not None and "is" in message:
            step()
        return message

    Channel.send, Channel.receive = stepping_send, stepping_receive  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    file = sys.argv.pop(1)
    if Path(file).exists() and "STOP" in (told := Path(file).read_text()):
        os.environ[_HANGS] = told
    side = "new" if "EASEWS_HANDOVER" in os.environ else "old"
    worker._CODE = _WORKER.format(side=side, file=file)
    os.write(2, f"the {side} parent begins, its process is {os.getpid()}\n".encode())
    fail(f"{side}-parent", file)
    main()
