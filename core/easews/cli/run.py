"""`easews run`: serve a config."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from ..config import Config, load
from ..config.admin import at_address
from ..config.model import AdminSpec
from ..config.sources import STDIN
from ..errors import ConfigError, EasewsError
from ..plugins import discover
from .configs import read, report
from .options import FORMATS, PROBLEMS, USAGE, Files, choice
from .report import complain, say

#: Which event loop runs it all; those but the first are packages, and extras of ours.
BACKENDS = ("asyncio", "uvloop", "trio")
MOST_WORKERS = 256


def _checked_workers(value: str | None) -> str | None:
    if value not in (None, "auto") and not (value.isdecimal() and 1 <= int(value) <= MOST_WORKERS):
        wrong = f"{value!r} is no number of processes; choose one from 1 to {MOST_WORKERS}, or auto"
        raise typer.BadParameter(wrong)
    return value


def _count(workers: int | str) -> int:
    from ..operate.cores import usable_cores

    return usable_cores() if workers == "auto" else int(workers)


def admin_spec(config: Config, address: str | None) -> AdminSpec | None:
    """Where the admin interface listens: as the command line says, else as the config does."""
    given = config.gateway.admin
    if address is None:
        return given
    try:
        return at_address(given, address)
    except ValueError as error:
        raise typer.BadParameter(f"{address!r} {error}", param_hint="--admin") from None


def run(
    files: Files,
    backend: Annotated[
        str,
        choice(BACKENDS, "The event loop. uvloop and trio have to be installed with easews."),
    ] = "asyncio",
    log_format: Annotated[
        str | None,
        choice(FORMATS, "How the log on standard error is written, whatever the config says."),
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Where the admin interface listens, such as 127.0.0.1:9901 or"
            " unix:/run/admin.sock, whatever the config says.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Reload when a config file is saved, or a file that a filter reads."
        ),
    ] = False,
    watch_plugins: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.py",
            exists=True,
            dir_okay=False,
            help="For development: use the filters in this file, and load it again when it is"
            " saved. May be given several times.",
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            callback=_checked_workers,
            help="How many processes serve, whatever the config says; auto: one for each core.",
        ),
    ] = None,
) -> None:
    """Run the servers of config files until SIGTERM or Ctrl-C.

    Then no new connection is accepted, the open sessions get Close 1001, one after the other
    within 30 seconds, and requests and sessions have 10 seconds to end; a Gateway object in the
    config may say otherwise. A second signal ends the process at once. If the config has problems,
    they go to standard error, and nothing is started.
    """
    if (watch or watch_plugins) and STDIN in files:
        wrong = "the config is read again, and standard input cannot be; save it to a file"
        raise typer.BadParameter(wrong, param_hint="--watch" if watch else "--watch-plugins")
    if backend != BACKENDS[0] and importlib.util.find_spec(backend) is None:
        how = f"pip install 'easews[{backend}]', or leave out --backend"
        complain(f"{backend} is not installed; {how}")
        raise typer.Exit(USAGE)
    if watch_plugins and workers not in (None, "1"):
        wrong = "filters in single files are for one process; leave out one of the two"
        raise typer.BadParameter(wrong, param_hint="--workers")
    from ..operate.apart import read_apart
    from ..operate.handover.taking import Taker
    from ..operate.handover.upgrading import Upgrader
    from ..operate.process import BACKENDS as LOOPS
    from ..operate.process import Companion
    from ..operate.process import run as run_config  # what only `run` needs, loaded by it alone
    from ..operate.reloading import Reloader, Served
    from ..operate.watching import ConfigWatch, Watch
    from ..server.passed import NONE_PASSED

    kinds = discover()
    companions: list[Callable[[Served], Coroutine[Any, Any, None]]] = []
    of_one: list[Companion] = []
    reread: Callable[[], Awaitable[Config]] = partial(read_apart, files, kinds)
    try:
        if watch_plugins:
            plugins = Watch(watch_plugins, kinds, partial(load, files))
            reread = plugins.reread
            kinds = plugins.kinds
            of_one.append(plugins.run)
        reloader = Reloader(reread)
        if watch:
            companions.append(ConfigWatch(files, reloader.ask).run)
        config = read(files, kinds)
        if not config.servers:
            remedy = "write one whose rules lead to a pipeline; `easews init` shows how"
            complain(f"there is no HTTPServer in {', '.join(files)}, so nothing to run; {remedy}")
            raise typer.Exit(PROBLEMS)
        upgrader, follows = Upgrader(), Taker.from_environment(os.environ)
        if follows is not None:
            anyio.run(follows.listeners, config.servers, **LOOPS[backend])
        is_one = watch_plugins or follows is not None
        count = 1 if is_one else _count(workers or config.gateway.workers)
        spec = admin_spec(config, admin)
        interface = None
        if spec is not None:
            from ..admin import Admin

            passed = NONE_PASSED if follows is None else follows.sockets
            interface = Admin(spec, passed=passed)
        if count == 1:
            if interface is not None:
                from ..admin import administering

                of_one.append(administering(interface, reloader, backend, upgrader, follows))
            status = run_config(
                *(config, reloader, upgrader, follows),
                backend=backend,
                log_format=log_format,
                companions=[*companions, *of_one],
            )
        else:
            from ..operate.workers import Companion as WorkersCompanion
            from ..operate.workers import run_workers

            of_all: list[WorkersCompanion] = [*companions]
            if interface is not None:
                from ..admin import administering_workers

                of_all.append(administering_workers(interface, reloader))
            status = run_workers(
                *(config, reloader, count),
                backend=backend,
                log_format=log_format,
                companions=of_all,
                measures=interface is not None,
            )
    except ConfigError as error:
        say(report(error.problems, sys.stderr, kinds), sys.stderr)
        raise typer.Exit(PROBLEMS) from None
    except EasewsError as error:
        complain(str(error))
        raise typer.Exit(PROBLEMS) from None
    raise typer.Exit(status)
