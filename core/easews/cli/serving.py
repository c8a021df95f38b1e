"""What `easews run` does once its command line is right: reads the config and serves it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import typer

from ..config import Config, load
from ..config.admin import at_address
from ..config.model import AdminSpec
from ..errors import ConfigError, EasewsError
from ..operate.apart import read_apart
from ..operate.eventloop import BACKENDS
from ..operate.handover.inplace import InPlace
from ..operate.handover.taking import Taker
from ..operate.handover.upgrading import Upgrader
from ..operate.process import Companion as GatewayCompanion
from ..operate.process import run as serve_alone
from ..operate.reloading import Reloader, Served
from ..operate.watching import ConfigWatch, Watch
from ..operate.workers.cores import usable_cores
from ..plugins import Kinds
from ..server.passed import NONE_PASSED
from .configs import read
from .options import PROBLEMS

if TYPE_CHECKING:
    from ..admin import Admin  # imported below, only where the config or --admin asks for it

Companion = Callable[[Served], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The command line of `easews run`. None stands for what the config says."""

    files: list[str]
    backend: str
    log_format: str | None
    admin: str | None
    watch: bool
    watch_plugins: Sequence[Path]
    workers: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """Where the config comes from.

    kinds     the kinds of filter that it may name
    reloader  reads it again
    watches   companions of the gateway that notice saved files
    """

    kinds: Kinds
    reloader: Reloader
    watches: Sequence[Companion]


def source_of(options: RunOptions, installed: Kinds) -> Source:
    """The source that these options name. Call it before the config is read, so that no save is
    missed. PluginError when a file of --watch-plugins cannot be used.
    """
    kinds, watches = installed, list[Companion]()
    reread: Callable[[], Awaitable[Config]] = partial(read_apart, options.files, installed)
    if options.watch_plugins:
        plugins = Watch(options.watch_plugins, installed, partial(load, options.files))
        kinds, reread = plugins.kinds, plugins.reread
        watches.append(plugins.run)
    reloader = Reloader(reread)
    if options.watch:
        watches.append(ConfigWatch(options.files, reloader.ask).run)
    return Source(kinds, reloader, watches)


def serve(options: RunOptions, source: Source, in_place: InPlace) -> int:
    """Serve until told to stop; returns the exit status. EasewsError when it cannot serve."""
    has_helper = bool(in_place.helpers.living())
    follows = Taker.from_environment(os.environ, other_goes_on=has_helper)
    if follows is None:
        return _serve(options, source, in_place, None)
    try:
        return _serve(options, source, in_place, follows)
    except EasewsError as error:
        wrong = list(map(str, error.problems)) if isinstance(error, ConfigError) else [str(error)]
        if anyio.run(follows.refuse, wrong, **BACKENDS[options.backend]):
            return PROBLEMS  # the other process says why, in its log
        raise
    finally:
        follows.close()


def _serve(options: RunOptions, source: Source, in_place: InPlace, follows: Taker | None) -> int:
    config = _config(options.files, source.kinds)
    if follows is not None:
        anyio.run(follows.listeners, config.servers, **BACKENDS[options.backend])
    spec = _admin_spec(config, options.admin)
    interface = None if spec is None else _interface(spec, follows)
    upgrader = Upgrader(in_place)
    # One process asks its helper back over the channel by which sessions come.
    helps_one = in_place.is_helper and (follows is None or not follows.several)
    is_one = options.watch_plugins or helps_one
    count = 1 if is_one else _count(options.workers or config.gateway.workers)
    if count == 1:
        return _serve_in_one_process(config, options, source, interface, upgrader, follows)
    return _serve_with_workers(config, options, source, interface, upgrader, follows, count)


def _config(files: list[str], kinds: Kinds) -> Config:
    config = read(files, kinds)
    if not config.servers:
        remedy = "write one whose rules lead to a pipeline; `easews init` shows how"
        raise EasewsError(
            f"there is no HTTPServer in {', '.join(files)}, so nothing to run; {remedy}"
        )
    return config


def _admin_spec(config: Config, address: str | None) -> AdminSpec | None:
    """Where the admin interface listens: as the command line says, else as the config does."""
    given = config.gateway.admin
    if address is None:
        return given
    try:
        return at_address(given, address)
    except ValueError as error:
        raise typer.BadParameter(f"{address!r} {error}", param_hint="--admin") from None


def _interface(spec: AdminSpec, follows: Taker | None) -> Admin:
    from ..admin import Admin

    return Admin(spec, passed=NONE_PASSED if follows is None else follows.sockets)


def _count(workers: int | str) -> int:
    return usable_cores() if workers == "auto" else int(workers)


def _serve_in_one_process(
    config: Config,
    options: RunOptions,
    source: Source,
    interface: Admin | None,
    upgrader: Upgrader,
    follows: Taker | None,
) -> int:
    reloader = source.reloader
    companions: list[GatewayCompanion] = [*source.watches]
    if interface is not None:
        from ..admin import administering

        companions.append(administering(interface, reloader, options.backend, upgrader, follows))
    return serve_alone(
        *(config, reloader, upgrader, follows),
        backend=options.backend,
        log_format=options.log_format,
        companions=companions,
    )


def _serve_with_workers(
    config: Config,
    options: RunOptions,
    source: Source,
    interface: Admin | None,
    upgrader: Upgrader,
    follows: Taker | None,
    count: int,
) -> int:
    from ..operate.workers.parent import Companion as WorkersCompanion
    from ..operate.workers.parent import run_workers

    reloader = source.reloader
    companions: list[WorkersCompanion] = [*source.watches]
    if interface is not None:
        from ..admin import administering_workers

        companions.append(administering_workers(interface, reloader, upgrader))
    return run_workers(
        *(config, reloader, upgrader, count, follows),
        backend=options.backend,
        log_format=options.log_format,
        companions=companions,
        measures=interface is not None,
    )
