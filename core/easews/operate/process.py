"""The process around a gateway: limits, the log, signals, and an end whatever happens."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import anyio

from ..config.model import Config
from ..net.contexts import pass_over_garbled_names
from ..observe.logs import writing_logs
from .announcing import announce, announcement, log_builds
from .descriptors import raise_limit
from .eventloop import CUT, ENDED, collect_garbage_less_often, run_loop
from .handover.offering import Offering
from .handover.taking import Taker
from .handover.told import Told
from .handover.upgrading import Upgrader
from .notifying import Notifier, passed_sockets, report_ready, status_text, warn_of_unused
from .reloading import Reloader
from .serving.binding import bind_all
from .serving.gateway import Gateway
from .serving.renewal import warn_of_old
from .serving.taskgroups import open_task_group
from .signalling import after_loop, follow, heeding, told_to_stop, until_told
from .stopping import Signals, Stopped, end_anyway, stop
from .systemd import take
from .tracing import tracing

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
    when sessions or requests had to be cut. EasewsError when it cannot serve.

    At SIGHUP `reloader` puts another config in its place. At SIGUSR2 `upgrader` has a new process
    take over; `follows` is there in one that takes over from another. A `log_format` overrides
    those of configs.
    """
    systemd = take(os.environ, os.getpid())
    collect_garbage_less_often()
    pass_over_garbled_names()
    with writing_logs(log_format or config.gateway.log_format):
        passed = passed_sockets(systemd.passed)
        sockets = bind_all(config.servers, passed if follows is None else follows.sockets)
        raise_limit(config)
        warn_of_unused(passed)
        log_builds(config)
        gateway = Gateway(config, sockets, passed=passed)
        upgrader.notifier = notifier = Notifier(systemd)
        args = gateway, reloader, upgrader, follows, companions, notifier
        status = run_loop(_run, *args, backend=backend)
    return after_loop(status, upgrader)


async def _run(
    gateway: Gateway,
    reloader: Reloader,
    upgrader: Upgrader,
    follows: Taker | None,
    companions: Sequence[Companion],
    notifier: Notifier,
) -> int:
    async def run(signals: Told) -> int:
        async def until_told_to_stop() -> None:
            for line in announcement(gateway):
                announce(line)
            for tls in gateway.tls.values():
                warn_of_old(tls)
            report_ready(gateway, reloader, notifier)
            await until_told(gateway, reloader, upgrader, partial(Offering, gateway), signals)
            await told_to_stop(upgrader, follows)

        async def beat(_: Gateway) -> None:
            await notifier.beat(partial(status_text, gateway))

        beside = [*companions, beat]
        if follows is not None:
            beside.append(partial(_follow, follows, upgrader, notifier))
        rest, last = upgrader.tell_of_the_rest, partial(upgrader.finish_anyway, signals)
        return await serve(gateway, signals, until_told_to_stop, beside, rest, last)

    return await heeding(run, upgrader, follows)


async def _follow(follows: Taker, upgrader: Upgrader, notifier: Notifier, gateway: Gateway) -> None:
    take = partial(follows.run, gateway, notifier.ready)
    await follow(follows, upgrader, take, lambda: gateway.ready)


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
