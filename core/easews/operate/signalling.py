"""What signals ask of a process that serves, or has others serve."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from .eventloop import CUT, FAILED
from .handover.giving import Whole
from .handover.inplace import BECOMES_NEW
from .handover.starting import Successor
from .handover.taking import Taker
from .handover.told import Told
from .handover.upgrading import Upgradable, Upgrader
from .holding import let_through
from .reloading import Reloader
from .stopping import Signals

#: Those that a process listens for.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)


async def heeding(
    serve: Callable[[Told], Awaitable[int]], upgrader: Upgrader, follows: Taker | None
) -> int:
    """Have `serve` get the signals that this process has to heed, and then do what is left of an
    upgrade. Returns the exit status of `serve`, or BECOMES_NEW.
    """
    in_place = upgrader.in_place
    with anyio.open_signal_receiver(*SIGNALS) as received:
        let_through(SIGNALS)
        signals = Told(received, in_place, follows)
        status = await serve(signals)
        if follows is not None and status == CUT:
            in_place.stop_helpers()
        status = await upgrader.finish(status, signals)
    if status == BECOMES_NEW:
        in_place.keep_signals()
    else:
        ignore_from_now_on(*SIGNALS)
    return status


def after_loop(status: int, upgrader: Upgrader) -> int:
    """The exit status after an event loop that ended with `status`, unless this process becomes
    the new program.
    """
    if status == BECOMES_NEW:
        upgrader.in_place.become_new(upgrader.notifier.environment)
        return FAILED
    return status


async def follow(
    follows: Taker,
    upgrader: Upgrader,
    take: Callable[[], Awaitable[None]],
    serves: Callable[[], bool],
) -> None:
    """Take over from the process before, and wait for its end."""
    follows.on_back = upgrader.hand_back
    await take()
    if serves():
        upgrader.in_place.other_has_ended()
    await upgrader.in_place.helpers.reap()


async def told_to_stop(upgrader: Upgrader, follows: Taker | None) -> None:
    """Say that this process stops, and take nothing more. Call it after `until_told`."""
    if not upgrader.in_place.helped:
        upgrader.notifier.stopping()
    if follows is not None and not follows.has_all:
        upgrader.in_place.stop_helpers()
        await follows.give_up()


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
