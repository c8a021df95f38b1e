"""`easews run`: serve a config."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..config.sources import STDIN
from ..errors import ConfigError, EasewsError
from ..plugins import discover
from .configs import report
from .options import FORMATS, PROBLEMS, USAGE, Files, choice
from .report import complain, say

#: Which event loop runs it all; those but the first are packages, and extras of ours.
BACKENDS = ("asyncio", "uvloop", "trio")
MOST_WORKERS = 256

if TYPE_CHECKING:
    from ..operate.handover.inplace import InPlace
    from .serving import RunOptions


def _checked_workers(value: str | None) -> str | None:
    if value not in (None, "auto") and not (value.isdecimal() and 1 <= int(value) <= MOST_WORKERS):
        wrong = f"{value!r} is no number of processes; choose one from 1 to {MOST_WORKERS}, or auto"
        raise typer.BadParameter(wrong)
    return value


Backend = Annotated[
    str, choice(BACKENDS, "The event loop. uvloop and trio have to be installed with easews.")
]
LogFormat = Annotated[
    str | None,
    choice(FORMATS, "How the log on standard error is written, whatever the config says."),
]
AdminAddress = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="ADDRESS",
        help="Where the admin interface listens, such as 127.0.0.1:9901 or"
        " unix:/run/admin.sock, whatever the config says.",
    ),
]
WatchConfig = Annotated[
    bool,
    typer.Option(
        "--watch", help="Reload when a config file is saved, or a file that a filter reads."
    ),
]
WatchPlugins = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE.py",
        exists=True,
        dir_okay=False,
        help="For development: use the filters in this file, and load it again when it is"
        " saved. May be given several times.",
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        callback=_checked_workers,
        help="How many processes serve, whatever the config says; auto: one for each core.",
    ),
]
KeepPid = Annotated[
    bool,
    typer.Option(
        "--keep-pid",
        help="Upgrade (SIGUSR2) so that the process stays the same one, with its pid. That is so"
        " anyway in a container, and under systemd without Type=notify.",
    ),
]


def run(
    files: Files,
    backend: Backend = "asyncio",
    log_format: LogFormat = None,
    admin: AdminAddress = None,
    watch: WatchConfig = False,
    watch_plugins: WatchPlugins = None,
    workers: Workers = None,
    keep_pid: KeepPid = False,
) -> None:
    """Run the servers of config files until SIGTERM or Ctrl-C.

    Then no new connection is accepted, the open sessions get Close 1001, one after the other
    within 30 seconds, and requests and sessions have 10 seconds to end; a Gateway object in the
    config may say otherwise. A second signal ends the process at once. If the config has problems,
    they go to standard error, and nothing is started.
    """
    _check_together(files, watch, watch_plugins, workers)
    _check_installed(backend)
    from ..operate.handover.inplace import InPlace  # what only this command needs
    from .serving import RunOptions

    options = RunOptions(
        files, backend, log_format, admin, watch, tuple(watch_plugins or ()), workers
    )
    in_place = InPlace.from_environment(os.environ, asked=keep_pid)
    try:
        status = _serve(options, in_place)
    finally:
        in_place.helpers.outlive()
    raise typer.Exit(max(status, in_place.helpers.worst))


def _serve(options: RunOptions, in_place: InPlace) -> int:
    from .serving import serve, source_of

    kinds = discover()
    try:
        source = source_of(options, kinds)
        kinds = source.kinds
        return serve(options, source, in_place)
    except ConfigError as error:
        say(report(error.problems, sys.stderr, kinds), sys.stderr)
        raise typer.Exit(PROBLEMS) from None
    except EasewsError as error:
        complain(str(error))
        raise typer.Exit(PROBLEMS) from None


def _check_installed(backend: str) -> None:
    if backend != BACKENDS[0] and importlib.util.find_spec(backend) is None:
        how = f"pip install {backend}, or leave out --backend"
        complain(f"{backend} is not installed; {how}")
        raise typer.Exit(USAGE)


def _check_together(
    files: list[str], watch: bool, watch_plugins: list[Path] | None, workers: str | None
) -> None:
    """Refuse options that do not go together."""
    if (watch or watch_plugins) and STDIN in files:
        wrong = "the config is read again, and standard input cannot be; save it to a file"
        raise typer.BadParameter(wrong, param_hint="--watch" if watch else "--watch-plugins")
    if watch_plugins and workers not in (None, "1"):
        wrong = "filters in single files are for one process; leave out one of the two"
        raise typer.BadParameter(wrong, param_hint="--workers")
