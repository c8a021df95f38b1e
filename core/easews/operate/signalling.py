"""What signals ask of a process that serves, or has others serve."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

import anyio

from .handover.giving import Whole
from .handover.starting import Successor
from .handover.upgrading import Upgradable, Upgrader
from .reloading import Reloader
from .stopping import Signals

#: Those that a process listens for.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)


async def until_told(
    served: Upgradable,
    reloader: Reloader,
    upgrader: Upgrader,
    side_of: Callable[[], Whole],
    signals: Signals,
) -> None:
    """Reload and upgrade when it is told to; return when it is told to stop, or when a new process
    has taken over what `side_of` returns.
    """

    def leave_reloads_to(successor: Successor) -> None:
        reloader.leave_to(partial(successor.send_signal, signal.SIGHUP))

    upgrader.on_handed_over.append(leave_reloads_to)
    asked = {signal.SIGHUP: reloader.ask, signal.SIGUSR2: upgrader.ask}
    async with anyio.create_task_group() as tasks:

        async def upgrade() -> None:
            await upgrader.run(served, side_of)
            tasks.cancel_scope.cancel()

        tasks.start_soon(reloader.run, served)
        tasks.start_soon(upgrade)
        while (told := await anext(signals)) in asked:
            asked[told](told.name)
        tasks.cancel_scope.cancel()


def ignore_from_now_on(*late: signal.Signals) -> None:
    """What was to end has ended: its status is to be told, whatever comes now."""
    for number in late:
        signal.signal(number, signal.SIG_IGN)
