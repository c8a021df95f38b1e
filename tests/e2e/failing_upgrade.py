"""easews, of which one of two processes fails at a step of an upgrade.

`python failing_upgrade.py FILE run ...`: the file says which ("old" or "new"), at which of its
steps, and how: "kill", "hang", or another fault. A message that is sent is two steps, before and
after it; one that comes is one.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from functools import wraps
from pathlib import Path
from typing import Any

from easews.cli.app import main
from easews.net.channel import Channel
from easews.operate.handover import link, offering, plain, protocol
from easews_wsproxy.relay.service import Relay

file = Path(sys.argv.pop(1))
side = "new" if "EASEWS_HANDOVER" in os.environ else "old"
steps = 0
link.START_PATIENCE, offering.BATCH_PATIENCE = 10.0, 1.0


def step() -> None:
    global steps
    who, number, how = file.read_text().split()
    steps += 1
    if (who, int(number)) == (side, steps):
        done = file.with_name("done")
        done.write_text("nobody 0 none")
        done.replace(file)  # at once: the other process reads it at each of its steps, too
        os.write(2, f"the {side} process fails at step {steps}: {how}\n".encode())
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(10_000)


def stepping(method: Any) -> Any:
    is_sending = method.__name__ == "send"

    @wraps(method)
    async def stepped(*args: Any) -> Any:
        if is_sending:
            step()
        result = await method(*args)
        step()
        return result

    return stepped


Channel.send = stepping(Channel.send)  # type: ignore[method-assign]
Channel.receive = stepping(Channel.receive)  # type: ignore[method-assign]
if side == "new":
    file.with_name("new.pid").write_text(str(os.getpid()))
    match file.read_text().split()[-1]:
        case "other-relay":
            Relay.state_version += 1
        case "other-engine":
            plain.VERSION += 1
        case "few-files":
            limit = len(os.listdir("/proc/self/fd")) + 24  # for itself, and a few sessions
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        case "odd-ready":
            protocol.ready = lambda states: {"is": "ready"}
        case "odd-taken":
            protocol.taken = lambda number, refused: {"is": "taken"}
        case "exit":
            sys.exit(7)
main()
