"""The process around a gateway: limits, the log, signals, and an end whatever happens."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from typing import Any

import anyio

from ..config.model import Config
from ..errors import EasewsError
from ..net.contexts import pass_over_garbled_names
from ..observe.logs import end_process, writing_logs
from ..plugins import build_notes
from .announcing import announce, where
from .binding import bind_all
from .descriptors import raise_limit
from .gateway import Gateway
from .handover.giving import Whole
from .handover.inplace import BECOMES_NEW
from .handover.offering import Offering
from .handover.starting import Successor
from .handover.taking import Taker
from .handover.told import Told
from .handover.upgrading import Upgradable, Upgrader
from .notifying import Notifier, passed_sockets, warn_of_unused
from .reloading import Reloader, Served
from .renewal import told, warn_of_old
from .stopping import Signals, Stopped, end_anyway, stop
from .systemd import take
from .taskgroups import open_task_group
from .tracing import tracing

log: logging.Logger = logging.getLogger("easews")

#: What `run` can run on: the arguments that `anyio.run` gets.
BACKENDS: Mapping[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio", "backend_options": {"use_uvloop": False}},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}

#: Exit statuses. 2 is a wrong command line's.
ENDED, FAILED, CUT = 0, 1, 3
#: Those that a process listens for.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)

#: What goes on beside a gateway until it has stopped. It handles its own errors.
Companion = Callable[[Gateway], Coroutine[Any, Any, None]]


def run(
    config: Config,
    reloader: Reloader,
    upgrader: Upgrader,
    follows: Taker | None = None,
    *,
    backend: str = "asyncio",
    log_format: str | None = None,
    companions: Sequence[Companion] = (),
) -> int:
    """Serve `config` until SIGTERM or SIGINT; the exit status: 0, 1 when something failed, or 3
    when sessions or requests had to be cut. EasewsError when a process that `follows` another one
    cannot serve.

    At SIGHUP `reloader` puts another config in its place. At SIGUSR2 `upgrader` has a new process
    take over; `follows` is there in one that takes over from another. A `log_format` counts before
    those of configs.
    """
    systemd = take(os.environ, os.getpid())
    collect_garbage_less_often()
    pass_over_garbled_names()
    with writing_logs(log_format or config.gateway.log_format):
        try:
            passed = passed_sockets(systemd.passed)
            sockets = bind_all(config.servers, passed if follows is None else follows.sockets)
        except EasewsError as error:
            if follows is not None:
                raise
            print(f"easews: {error}", file=sys.stderr)
            return FAILED
        raise_limit(config)
        warn_of_unused(passed)
        log_builds(config)
        gateway = Gateway(config, sockets, passed=passed)
        upgrader.notifier = notifier = Notifier(systemd)
        args = gateway, reloader, upgrader, follows, companions, notifier
        status = run_loop(_run, *args, backend=backend, raises=follows is not None)
    if status == BECOMES_NEW:
        upgrader.in_place.become_new(notifier.environment)
        return FAILED
    return status


def run_loop(
    main: Callable[..., Coroutine[Any, Any, int]], *args: Any, backend: str, raises: bool = False
) -> int:
    """Run `main`, which returns the exit status of this process, and report what it raises; with
    `raises` an EasewsError is for the caller.
    """
    try:
        status = anyio.run(main, *args, **BACKENDS[backend])
        if status != BECOMES_NEW:
            _leave_threads_behind(status)
    except EasewsError as error:
        if raises:
            raise
        print(f"easews: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return ENDED  # before or after the time in which we listen for it
    except Exception:
        log.critical("easews has to stop", exc_info=True)
        return FAILED
    return status


def log_builds(config: Config) -> None:
    """Log how the filters of a config were built, as far as there is something to say."""
    for note in build_notes(entry.kind for spec in config.pipelines for entry in spec.filters):
        log.info("%s", note)


def _leave_threads_behind(status: int) -> None:
    """A look-up of a name cannot be cancelled, and Python would wait for its thread."""
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    if others != [threading.main_thread()]:
        end_process(status)


def collect_garbage_less_often() -> None:
    """What is loaded by now stays, and an open session is hardly ever garbage; looking through
    them all for every few hundred new objects would take a sixth of the time of a handshake.

    A new config has some 100,000 objects. The middle generation is looked through early, so that
    it never has all of them: that would hold the event loop for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 1, 4_000)


async def _run(
    gateway: Gateway,
    reloader: Reloader,
    upgrader: Upgrader,
    follows: Taker | None,
    companions: Sequence[Companion],
    notifier: Notifier,
) -> int:
    in_place = upgrader.in_place
    with anyio.open_signal_receiver(*SIGNALS) as received:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # those that came before are wanted now
        signals = Told(received, in_place, follows)

        async def until_told_to_stop() -> None:
            for line in announcement(gateway):
                announce(line)
            for tls in gateway.tls.values():
                warn_of_old(tls)
            report_ready(gateway, reloader, notifier)
            await until_told(gateway, reloader, upgrader, partial(Offering, gateway), signals)
            if not in_place.helped:
                notifier.stopping()
            if follows is not None and not follows.has_all:
                in_place.stop_helpers()
                await follows.give_up()

        async def beat(_: Gateway) -> None:
            await notifier.beat(partial(status_text, gateway))

        beside = [*companions, beat]
        if follows is not None:
            beside.append(partial(_follow, follows, upgrader, notifier))
        rest, last = upgrader.tell_of_the_rest, partial(upgrader.finish_anyway, signals)
        status = await serve(gateway, signals, until_told_to_stop, beside, rest, last)
        if follows is not None and status == CUT:
            in_place.stop_helpers()
        status = await upgrader.finish(status, signals)
    if status == BECOMES_NEW:
        in_place.keep_signals()
    else:
        ignore_from_now_on(*SIGNALS)
    return status


async def _follow(follows: Taker, upgrader: Upgrader, notifier: Notifier, gateway: Gateway) -> None:
    """Take over from the process before, and wait for its end."""
    follows.on_back = upgrader.hand_back
    await follows.run(gateway, notifier.ready)
    if gateway.ready:
        upgrader.in_place.other_has_ended()
    await upgrader.in_place.helpers.reap()


def ignore_from_now_on(*late: signal.Signals) -> None:
    """What was to end has ended: its status is to be told, whatever comes now."""
    for number in late:
        signal.signal(number, signal.SIG_IGN)


async def serve(
    gateway: Gateway,
    signals: Signals,
    until_told_to_stop: Callable[[], Awaitable[None]],
    companions: Sequence[Companion],
    at_stop: Callable[[], Coroutine[Any, Any, None]] | None = None,
    last: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Serve until `until_told_to_stop` returns, and then until it has stopped; the exit status.
    From then on `signals` bring that to an end, and `at_stop` runs beside. `last` is done if the
    process has to be ended because a filter does not end.
    """
    stopped: Stopped | None = None
    async with open_task_group() as tasks:
        try:
            async with (
                tracing(gateway),
                gateway.serving(),
                anyio.create_task_group() as beside,
            ):
                for companion in companions:
                    beside.start_soon(companion, gateway)
                await until_told_to_stop()
                if at_stop is not None:
                    beside.start_soon(at_stop)
                stopped = await stop(gateway, signals)
                tasks.start_soon(end_anyway, last)
                beside.cancel_scope.cancel()
        finally:
            tasks.cancel_scope.cancel()
    assert stopped is not None
    stopped.tell()
    return CUT if any(stopped.cut) else ENDED


def status_text(served: Served) -> str:
    """What systemd shows."""
    return f"generation {served.generation}, {len(served.sessions)} open sessions"


def report_ready(served: Served, reloader: Reloader, notifier: Notifier) -> None:
    """Report that all listeners serve, and later each reload."""
    notifier.ready(status_text(served))
    reloader.on_begin.append(notifier.reloading)
    reloader.on_end.append(lambda: notifier.ready(status_text(served)))


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


def announcement(gateway: Gateway) -> Iterator[str]:
    """The lines that say where it listens, and which certificates it has."""
    for name, listener in gateway.listeners.items():
        tls = gateway.tls.get(name)
        scheme = "https" if tls else "http"
        for address in listener.addresses:
            yield f"{name} listens on {where(scheme, *address)}"
        for pair in tls.pairs if tls else ():
            yield told(name, pair)
