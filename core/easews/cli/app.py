"""The commands and their exit status: 0 clean, 1 problems, 2 usage errors."""

from __future__ import annotations

import importlib.util
import sys
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ..config import Config, load
from ..config.schemas import OBJECT_KINDS, bundle, object_schema, standalone
from ..config.wording import did_you_mean, listed
from ..errors import ConfigError, EasewsError, Problem
from ..plugins import Kinds, discover
from . import editors
from .init import init
from .page import kind_page
from .report import (
    complain,
    has_colour,
    problems_json,
    problems_text,
    say,
    summary,
    table,
    width_of,
)

PROBLEMS, USAGE = 1, 2


def _epilog(status: str, *examples: str) -> str:
    """What stands below the help of a command: how it is used, and its exit status."""
    # \b keeps the lines of a paragraph as they are.
    indented = "\n".join(f"  {example}" for example in examples)
    return f"\b\nExamples:\n{indented}\n\nExit status: {status}, 2 for a wrong command line."


app = typer.Typer(
    name="easews",
    help="A gateway that you extend in Python: a pipeline of plugin filters behind an HTTP server.",
    epilog="Exit status: 0 when all is well, 1 for problems, 2 for a wrong command line.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How a report or a log is written."""

    TEXT = "text"
    JSON = "json"


class Backend(StrEnum):
    """Which event loop runs it all; those but the first are packages, and extras of ours."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"
    TRIO = "trio"


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="YAML files, folders (every *.yaml and *.yml in them), or - for standard input.",
        show_default=False,
    ),
]


def main() -> None:
    """Run the command line of this process and exit."""
    app(prog_name="easews")


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"easews {metadata.version('easews')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command(
    epilog=_epilog(
        "0 when there is no problem, 1 when there are some",
        "easews validate config/",
        "easews validate --format json config/ | jq '.problems[].wrong'",
        "kubectl get configmap easews -o jsonpath='{.data.config}' | easews validate -",
    )
)
def validate(
    files: Files,
    format: Annotated[Format, typer.Option(help="Text, or JSON for machines.")] = Format.TEXT,
) -> None:
    """Check config files and report all problems.

    On a terminal each problem is shown with its line, the spot underlined. Piped, each is one
    line FILE:LINE:COLUMN: PATH: what is wrong; what would be accepted. The report goes to
    standard output.
    """
    problems: tuple[Problem, ...] = ()
    found = ""
    try:
        found = _found(load(files, _discover()))
    except ConfigError as error:
        problems = error.problems
    if format is Format.JSON:
        say(problems_json(problems))
    else:
        say(_report(problems, sys.stdout) if problems else f"No problems: {found}")
    raise typer.Exit(PROBLEMS if problems else 0)


def _report(problems: tuple[Problem, ...], stream: TextIO) -> str:
    kinds = {*OBJECT_KINDS, *discover()}
    return problems_text(problems, width=width_of(stream), colour=has_colour(stream), kinds=kinds)


def _found(config: Config) -> str:
    return f"{summary(len(config.servers), 'server')}, {summary(len(config.pipelines), 'pipeline')}"


def _discover() -> Kinds:
    """The installed kinds; a broken plugin is left out with a warning."""
    kinds = discover()
    for fault in kinds.broken:
        complain(f"warning: a plugin is left out, because it is broken: {fault}")
    return kinds


@app.command(
    epilog=_epilog(
        "0 when it was stopped, 1 when the config has problems or it cannot serve",
        "easews run config.yaml",
        "easews run --backend uvloop --log-format json config/",
    )
)
def run(
    files: Files,
    backend: Annotated[
        Backend,
        typer.Option(help="The event loop. uvloop and trio have to be installed with easews."),
    ] = Backend.ASYNCIO,
    log_format: Annotated[
        Format, typer.Option(help="How the log on standard error is written.")
    ] = Format.TEXT,
) -> None:
    """Run the servers of config files until SIGTERM or Ctrl-C.

    Then no connection is taken any more, every open session gets Close 1001, and requests and
    sessions have 5 seconds to end; a second signal ends all at once. Problems of the config go
    to standard error; then nothing is started.
    """
    if backend is not Backend.ASYNCIO and importlib.util.find_spec(backend.value) is None:
        name = backend.value
        complain(f"{name} is not installed; pip install 'easews[{name}]', or leave out --backend")
        raise typer.Exit(USAGE)
    from ..supervisor import run as run_config  # what only `run` needs, loaded by it alone

    try:
        config = load(files, _discover())
        status = run_config(config, backend=backend.value, log_format=log_format.value)
    except ConfigError as error:
        say(_report(error.problems, sys.stderr), sys.stderr)
        raise typer.Exit(PROBLEMS) from None
    except EasewsError as error:
        complain(str(error))
        raise typer.Exit(PROBLEMS) from None
    raise typer.Exit(status)


app.command(
    epilog=_epilog(
        "0 when it is written, 1 when WebSocketProxy is not installed",
        "easews init ws://127.0.0.1:9000",
        "easews init ws://chat.example:9000/ws --output chat.yaml",
        "easews init --output - | easews validate -",
    )
)(init)


def _names(incomplete: str) -> list[str]:
    """The kinds that a shell may complete `incomplete` to."""
    return [name for name in (*OBJECT_KINDS, *discover()) if name.startswith(incomplete)]


KindName = Annotated[
    str | None,
    typer.Argument(
        metavar="[KIND]",
        help="A kind that `easews kinds` lists.",
        show_default=False,
        autocompletion=_names,
    ),
]


@app.command(
    epilog=_epilog(
        "0 when all is well, 1 when a plugin is broken",
        "easews kinds",
        "easews kinds WebSocketProxy",
        "easews kinds HTTPServer | grep -i timeout",
    )
)
def kinds(kind: KindName = None) -> None:
    """List the kinds of object and filter, or the fields of one.

    The list tells which package brings a kind, and which results a filter may end with; broken
    plugins are below it. With KIND: its fields, with types, defaults and descriptions.
    """
    found = discover()
    if kind is None:
        say(table(_overview(found), colour=has_colour(sys.stdout)))
        for fault in found.broken:
            say(f"\nBROKEN  {fault}")
        raise typer.Exit(PROBLEMS if found.broken else 0)
    _check_kind(kind, found)
    out = sys.stdout
    say(kind_page(kind, found, width=width_of(out), colour=has_colour(out)))


def _overview(kinds: Kinds) -> list[tuple[str, ...]]:
    easews = metadata.version("easews")
    return [
        ("KIND", "PACKAGE", "VERSION", "RESULTS", "WHAT IT IS"),
        *(
            (name, "easews", easews, "-", object_schema(name)["description"])
            for name in OBJECT_KINDS
        ),
        *(
            (kind.name, kind.distribution, kind.version, listed(kind.results), kind.summary)
            for kind in kinds.values()
        ),
    ]


def _check_kind(kind: str, kinds: Kinds) -> None:
    """Exit with what there is instead when there is no such kind."""
    names = [*OBJECT_KINDS, *kinds]
    if kind not in names:
        hint = did_you_mean(kind, names) or f"there are: {listed(names)}"
        complain(f"no kind {kind!r} is installed; {hint}")
        raise typer.Exit(USAGE)


@app.command(
    epilog=_epilog(
        "0 when all is well",
        "easews schema > easews.schema.json",
        "easews schema WebSocketProxy",
        "easews schema --all schemas/",
    )
)
def schema(
    kind: KindName = None,
    all: Annotated[
        Path | None,
        typer.Option("--all", metavar="DIR", help="Write the schemas of all kinds to a folder."),
    ] = None,
) -> None:
    """Print a kind's JSON Schema, or that of whole configs.

    It has the fields, defaults and examples. Without KIND it is one schema for whole config
    files, for editors that check and complete.
    """
    if kind is not None and all is not None:
        raise typer.BadParameter("KIND and --all cannot be given together; leave out one")
    found = _discover()
    if all is not None:
        _write_schemas(all, found)
    elif kind is None:
        say(editors.as_json(bundle(found)).rstrip())
    else:
        _check_kind(kind, found)
        say(editors.as_json(standalone(kind, found)).rstrip())


def _write_schemas(folder: Path, kinds: Kinds) -> None:
    try:
        changed = editors.write_all(folder, kinds)
    except (OSError, ValueError) as error:
        complain(f"the schemas cannot be written to {folder}: {error}")
        raise typer.Exit(USAGE) from None
    say(f"Written to {folder}: {listed(changed, 'nothing, all is as it was')}")
