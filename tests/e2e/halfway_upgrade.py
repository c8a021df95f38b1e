"""easews, to which something happens when the first batch of an upgrade has been taken.

`python halfway_upgrade.py WHAT run ...`:

    stop, stop-new, stop-both  SIGTERM comes to the old process, to the new one, to both
    crowded, crowded-awhile    so many descriptors of the user are on their way that no more can be
                               sent: to the end, or for three tries
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from math import inf
from pathlib import Path
from typing import Any

from anyio.lowlevel import checkpoint

from easews.cli.app import main
from easews.net import channel
from easews.net.channel import Channel
from easews.operate.handover import told

what = sys.argv.pop(1)
channel.CROWD_PATIENCE = 0.2
told.SAME = 60.0  # the old process may be slow to pass its signal on
#: Turns of the event loop in which a process hears of its signal.
TURNS = 20


class Crowded(socket.socket):
    """Its user has too many descriptors on their way, for so many tries."""

    refusals = 0.0

    def sendmsg(self, buffers: Any, passed: Any = (), *others: Any) -> int:
        if passed and Crowded.refusals > 0:
            Crowded.refusals -= 1
            raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))
        return super().sendmsg(buffers, passed, *others)


def make(self: Channel, sock: socket.socket, plain: Any = Channel.__init__) -> None:
    plain(self, Crowded(fileno=sock.detach()))


async def receive(self: Channel, plain: Any = Channel.receive) -> dict[str, Any] | None:
    global what
    message: dict[str, Any] | None = await plain(self)
    if message is not None and message.get("is") == "taken":
        happening, what = what, ""
        await happen(happening)
    return message


async def happen(what: str) -> None:
    if what.startswith("crowded"):
        Crowded.refusals = 3 if what == "crowded-awhile" else inf
    if what in ("stop", "stop-both"):
        os.kill(os.getpid(), signal.SIGTERM)
    if what in ("stop-new", "stop-both"):
        os.kill(new_pid(), signal.SIGTERM)
    for _ in range(TURNS):
        await checkpoint()


def new_pid() -> int:
    """The only child, whichever thread has started it."""
    (pid,) = (it for file in Path("/proc/self/task").glob("*/children") for it in _words(file))
    return int(pid)


def _words(file: Path) -> list[str]:
    return file.read_text().split()


Channel.__init__ = make  # type: ignore[method-assign]
Channel.receive = receive  # type: ignore[method-assign]
main()
