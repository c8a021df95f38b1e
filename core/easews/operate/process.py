"""The process around a gateway: limits, the log, signals, and an end whatever happens."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ..config.model import Config
from ..errors import EasewsError
from ..net.contexts import pass_over_garbled_names
from ..observe.logs import end_process, writing_logs
from ..plugins import build_notes
from .announcing import announce, where
from .descriptors import raise_limit
from .gateway import Gateway, bind_all
from .notifying import Notifier, passed_sockets, warn_of_unused
from .reloading import Reloader
from .renewal import told, warn_of_old
from .systemd import take
from .tracing import tracing

log: logging.Logger = logging.getLogger("easews")

#: What `run` can run on: the arguments that `anyio.run` gets.
BACKENDS: Mapping[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio", "backend_options": {"use_uvloop": False}},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}

#: Seconds until what does not end by itself is ended with the process.
GRACE = 2.0
#: Seconds after which a stop tells what it waits for; clients that answer a Close need less.
_STOP_HINT = 0.5


#: What goes on beside a gateway until it is told to stop. It handles its own errors.
Companion = Callable[[Gateway], Coroutine[Any, Any, None]]


def run(
    config: Config,
    reloader: Reloader,
    *,
    backend: str = "asyncio",
    log_format: str | None = None,
    companions: Sequence[Companion] = (),
) -> int:
    """Serve `config` until SIGTERM or SIGINT; the exit status: 0, or 1 when something failed.

    At SIGHUP `reloader` puts another config in its place. A `log_format` counts before those of
    configs.
    """
    told_by_systemd = take(os.environ, os.getpid())
    _collect_garbage_less_often()
    pass_over_garbled_names()
    with writing_logs(log_format or config.gateway.log_format):
        try:
            passed = passed_sockets(told_by_systemd.passed)
            sockets = bind_all(config.servers, passed)
        except EasewsError as error:
            print(f"easews: {error}", file=sys.stderr)
            return 1
        raise_limit(config)
        warn_of_unused(passed)
        for note in build_notes(entry.kind for spec in config.pipelines for entry in spec.filters):
            log.info("%s", note)
        try:
            gateway = Gateway(config, sockets, passed=passed)
            notifier = Notifier(told_by_systemd)
            anyio.run(_run, gateway, reloader, companions, notifier, **BACKENDS[backend])
            _leave_threads_behind()
        except EasewsError as error:
            print(f"easews: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            pass  # before or after the time in which we listen for it
        except Exception:
            log.critical("easews has to stop", exc_info=True)
            return 1
    return 0


def _leave_threads_behind() -> None:
    """A look-up of a name cannot be cancelled, and Python would wait for its thread."""
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    if others != [threading.main_thread()]:
        end_process(0)


def _collect_garbage_less_often() -> None:
    """What is loaded by now stays, and an open session is hardly ever garbage; looking through
    them all for every few hundred new objects would take a sixth of the time of a handshake.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


async def _run(
    gateway: Gateway, reloader: Reloader, companions: Sequence[Companion], notifier: Notifier
) -> None:
    failure: EasewsError | None = None
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with anyio.create_task_group() as tasks:
            try:
                async with tracing(gateway), gateway.serving():
                    _announce(gateway)
                    for tls in gateway.tls.values():
                        warn_of_old(tls)
                    _report(gateway, reloader, notifier, tasks)
                    await _accompanied(gateway, reloader, companions, signals)
                    notifier.stopping()
                    stopping = anyio.CancelScope()
                    tasks.start_soon(_insist, signals, stopping, gateway.drain.deadline)
                    tasks.start_soon(_tell_what_is_open, gateway)
                    with stopping:
                        await gateway.stop()
            except EasewsError as error:  # raised below: a task group would wrap it up
                failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _report(gateway: Gateway, reloader: Reloader, notifier: Notifier, tasks: TaskGroup) -> None:
    """Report that all listeners serve; go on in tasks that a stop does not end."""

    def status() -> str:
        return f"generation {gateway.generation}, {len(gateway.sessions)} open sessions"

    notifier.ready(status())
    reloader.on_begin.append(notifier.reloading)
    reloader.on_end.append(lambda: notifier.ready(status()))
    tasks.start_soon(notifier.beat, status)


async def _accompanied(
    gateway: Gateway,
    reloader: Reloader,
    companions: Sequence[Companion],
    signals: AsyncIterator[signal.Signals],
) -> None:
    """Reload when we are told to. Return when we are told to stop, and the companions have."""
    async with anyio.create_task_group() as tasks:
        for companion in (reloader.run, *companions):
            tasks.start_soon(companion, gateway)
        while await anext(signals) == signal.SIGHUP:
            reloader.ask("SIGHUP")
        tasks.cancel_scope.cancel()


async def _told_to_hurry(signals: AsyncIterator[signal.Signals]) -> None:
    while await anext(signals) == signal.SIGHUP:
        log.warning("SIGHUP is ignored: easews is stopping")


def _announce(gateway: Gateway) -> None:
    for name, listener in gateway.listeners.items():
        tls = gateway.tls.get(name)
        scheme = "https" if tls else "http"
        for address in listener.addresses:
            announce(f"{name} listens on {where(scheme, *address)}")
        for pair in tls.pairs if tls else ():
            announce(told(name, pair))


async def _tell_what_is_open(gateway: Gateway) -> None:
    await anyio.sleep(_STOP_HINT)
    if count := len(gateway.sessions):
        sessions = "1 session is" if count == 1 else f"{count} sessions are"
        print(f"stopping: {sessions} open; once more ends them at once", file=sys.stderr)


async def _insist(
    signals: AsyncIterator[signal.Signals], stopping: anyio.CancelScope, deadline: float
) -> None:
    """Stop at once at a second signal; and whatever a filter does, come to an end."""
    with anyio.move_on_after(deadline + GRACE):
        await _told_to_hurry(signals)
    stopping.cancel()
    with anyio.move_on_after(GRACE):
        await _told_to_hurry(signals)
    log.critical("a filter goes on although it was cancelled: the process is ended without it")
    end_process(1)
