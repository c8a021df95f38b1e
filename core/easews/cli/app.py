"""The commands and their exit status: 0 clean, 1 problems, 2 usage errors."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ..config import Config, load
from ..config.schemas import OBJECT_KINDS
from ..config.sources import STDIN
from ..errors import ConfigError, EasewsError, Problem
from ..plugins import Kinds, build_notes, discover
from . import plugins
from .explain import explain
from .init import init
from .kinds import kinds
from .new import new
from .options import PROBLEMS, USAGE, Files, choice, epilog
from .report import (
    complain,
    complain_of_broken,
    has_colour,
    problems_json,
    problems_text,
    say,
    summary,
    width_of,
)
from .schema import schema

#: How a report or a log is written.
FORMATS = ("text", "json")
#: Which event loop runs it all; those but the first are packages, and extras of ours.
BACKENDS = ("asyncio", "uvloop", "trio")

app: typer.Typer = typer.Typer(
    name="easews",
    help="A gateway that you extend in Python: a pipeline of plugin filters behind an HTTP server.",
    epilog="Exit status: 0 when all is well, 1 for problems, 2 for a wrong command line.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line of this process and exit."""
    app(prog_name="easews")


def _print_version(wanted: bool) -> None:
    if wanted:
        notes = build_notes(discover().values())
        say("\n".join([f"easews {metadata.version('easews')}", *notes]))
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the versions and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command(
    epilog=epilog(
        "0 when there is no problem, 1 when there are some",
        "easews validate config/",
        "easews validate --format json config/ | jq '.problems[].wrong'",
        "kubectl get configmap easews -o jsonpath='{.data.config}' | easews validate -",
    )
)
def validate(
    files: Files,
    format: Annotated[str, choice(FORMATS, "Text, or JSON for machines.")] = "text",
) -> None:
    """Check config files and report all problems.

    On a terminal each problem is shown with its line, its place underlined. In a pipe each is one
    line FILE:LINE:COLUMN: PATH: what is wrong; what would be accepted. The report goes to
    standard output.
    """
    problems: tuple[Problem, ...] = ()
    found = ""
    try:
        found = _found(_load(files, discover()))
    except ConfigError as error:
        problems = error.problems
    if format == "json":
        say(problems_json(problems))
    else:
        say(_report(problems, sys.stdout) if problems else f"No problems: {found}")
    raise typer.Exit(PROBLEMS if problems else 0)


def _load(files: list[str], kinds: Kinds) -> Config:
    """The config; a broken plugin that it does not use is a warning."""
    told: tuple[Problem, ...] = ()
    try:
        return load(files, kinds)
    except ConfigError as error:
        told = error.problems
        raise
    finally:
        complain_of_broken(kinds.broken, told)


def _report(problems: tuple[Problem, ...], stream: TextIO) -> str:
    kinds = {*OBJECT_KINDS, *discover()}
    return problems_text(problems, width=width_of(stream), colour=has_colour(stream), kinds=kinds)


def _found(config: Config) -> str:
    servers, pipelines = len(config.servers), len(config.pipelines)
    found = f"{summary(servers, 'server')}, {summary(pipelines, 'pipeline')}"
    return found if servers else f"{found}; to be run it needs an HTTPServer, too"


@app.command(
    epilog=epilog(
        "0 when it was stopped, 1 when the config has problems or it cannot serve",
        "easews run config.yaml",
        "easews run --backend uvloop --log-format json config/",
        "easews run --watch-plugins my_filter.py config.yaml",
    )
)
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
) -> None:
    """Run the servers of config files until SIGTERM or Ctrl-C.

    Then no new connection is accepted, every open session gets Close 1001, and requests and
    sessions have 10 seconds to end; a Gateway object in the config may say otherwise. A second
    signal ends the process at once. If the config has problems, they go to standard error, and
    nothing is started.
    """
    if watch_plugins and STDIN in files:
        wrong = "the config is read again, too, and standard input cannot be; save it to a file"
        raise typer.BadParameter(wrong, param_hint="--watch-plugins")
    if backend != BACKENDS[0] and importlib.util.find_spec(backend) is None:
        how = f"pip install 'easews[{backend}]', or leave out --backend"
        complain(f"{backend} is not installed; {how}")
        raise typer.Exit(USAGE)
    from ..operate.process import run as run_config  # what only `run` needs, loaded by it alone
    from ..operate.watching import Watch

    kinds, companions = discover(), []
    try:
        if watch_plugins:
            watch = Watch(watch_plugins, kinds, partial(load, files))
            kinds = watch.kinds
            companions.append(watch.run)
        config = _load(files, kinds)
        if not config.servers:
            remedy = "write one whose rules lead to a pipeline; `easews init` shows how"
            complain(f"there is no HTTPServer in {', '.join(files)}, so nothing to run; {remedy}")
            raise typer.Exit(PROBLEMS)
        status = run_config(config, backend=backend, log_format=log_format, companions=companions)
    except ConfigError as error:
        say(_report(error.problems, sys.stderr), sys.stderr)
        raise typer.Exit(PROBLEMS) from None
    except EasewsError as error:
        complain(str(error))
        raise typer.Exit(PROBLEMS) from None
    raise typer.Exit(status)


app.command(
    epilog=epilog(
        "0 when it is written, 1 when WebSocketProxy is not installed",
        "easews init ws://127.0.0.1:9000",
        "easews init ws://chat.example:9000/ws --output chat.yaml",
        "easews init --output - | easews validate -",
    )
)(init)

app.command(
    epilog=epilog(
        "0 when it is written",
        "easews new my-filter",
        "easews new easews-tenants --requests --kind Tenant",
    )
)(new)

app.command(
    epilog=epilog(
        "0 when all is well, 1 when a plugin is broken",
        "easews kinds",
        "easews kinds WebSocketProxy",
        "easews kinds HTTPServer | grep -i timeout",
    )
)(kinds)

app.command(
    epilog=epilog(
        "0 when all is well",
        "easews schema > easews.schema.json",
        "easews schema WebSocketProxy",
        "easews schema --all schemas/",
    )
)(schema)

app.command(
    epilog=epilog(
        "0 when a path matches, 1 when the request is refused or the config has problems",
        "easews explain config.yaml ws://127.0.0.1:8080/ws",
        "easews explain config/ https://app.example/api --method POST --header 'X-Version: 2'",
        "easews explain config.yaml ws://a.example/ --client-ip 192.0.2.1 --json | jq .messageMode",
    )
)(explain)

app.add_typer(plugins.app)
