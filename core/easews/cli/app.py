"""The commands and their exit status: 0 clean, 1 problems, 2 usage errors."""

from __future__ import annotations

import importlib.util
import sys
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from ..config import Config, load
from ..config.schemas import OBJECT_KINDS, bundle, object_schema, standalone
from ..config.wording import did_you_mean, listed
from ..errors import ConfigError, EasewsError, Problem
from ..plugins import Kinds, discover
from . import editors
from .report import complain, has_colour, problems_json, problems_text, say, summary, table

PROBLEMS, USAGE = 1, 2

app = typer.Typer(
    name="easews",
    help="A gateway that you extend in Python: a pipeline of plugin filters behind an HTTP server.",
    epilog="Exit status: 0 when all is well, 1 for problems, 2 for a wrong command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How a report or a log is written."""

    TEXT = "text"
    JSON = "json"


class Backend(StrEnum):
    """Which event loop runs it all."""

    ASYNCIO = "asyncio"
    TRIO = "trio"


Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
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


@app.command(epilog="Example: easews validate --format json config/ | jq '.problems[].wrong'")
def validate(
    files: Files,
    format: Annotated[Format, typer.Option(help="Text, or JSON for machines.")] = Format.TEXT,
) -> None:
    """Check config files and report all problems at once.

    Every problem is a line FILE:LINE:COLUMN: PATH: what is wrong; what would be accepted.
    The report goes to standard output; the exit status is 1 when there are problems.
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
        say(_report(problems) if problems else f"No problems: {found}")
    raise typer.Exit(PROBLEMS if problems else 0)


def _report(problems: tuple[Problem, ...]) -> str:
    out = sys.stdout
    return problems_text(problems, terminal=out.isatty(), colour=has_colour(out))


def _found(config: Config) -> str:
    return f"{summary(len(config.servers), 'server')}, {summary(len(config.pipelines), 'pipeline')}"


def _discover() -> Kinds:
    """The installed kinds; a broken plugin is left out with a warning."""
    kinds = discover()
    for fault in kinds.broken:
        complain(f"warning: a plugin is left out, because it is broken: {fault}")
    return kinds


@app.command(epilog="Example: easews run --backend trio config/")
def run(
    files: Files,
    backend: Annotated[
        Backend, typer.Option(help="The event loop: asyncio, or trio.")
    ] = Backend.ASYNCIO,
    log_format: Annotated[
        Format, typer.Option(help="How the log on standard error is written.")
    ] = Format.TEXT,
) -> None:
    """Run the servers of config files until SIGTERM or Ctrl-C, then drain.

    Problems of the config go to standard error; then nothing is started.
    """
    if backend is Backend.TRIO and importlib.util.find_spec("trio") is None:
        complain("trio is not installed; pip install 'easews[trio]', or leave out --backend")
        raise typer.Exit(USAGE)
    from ..supervisor import run as run_config  # what only `run` needs, loaded by it alone

    try:
        config = load(files, _discover())
        status = run_config(config, backend=backend.value, log_format=log_format.value)
    except ConfigError as error:
        err = sys.stderr
        say(problems_text(error.problems, terminal=err.isatty(), colour=has_colour(err)), err)
        raise typer.Exit(PROBLEMS) from None
    except EasewsError as error:
        complain(str(error))
        raise typer.Exit(PROBLEMS) from None
    raise typer.Exit(status)


@app.command(epilog="Example: pip install easews-wsproxy && easews kinds")
def kinds() -> None:
    """List what a config can hold, who brings it, and each filter's results.

    Broken plugins are listed below; then the exit status is 1.
    """
    found = discover()
    easews = metadata.version("easews")
    rows = [
        ("KIND", "PACKAGE", "VERSION", "RESULTS", "WHAT IT IS"),
        *(
            (name, "easews", easews, "-", object_schema(name)["description"])
            for name in OBJECT_KINDS
        ),
        *(
            (kind.name, kind.distribution, kind.version, listed(kind.results), kind.summary)
            for kind in found.values()
        ),
    ]
    say(table(rows, colour=has_colour(sys.stdout)))
    for fault in found.broken:
        say(f"\nBROKEN  {fault}")
    raise typer.Exit(PROBLEMS if found.broken else 0)


@app.command(epilog="Example: easews schema > config.schema.json")
def schema(
    kind: Annotated[
        str | None,
        typer.Argument(help="A kind that `easews kinds` lists.", show_default=False),
    ] = None,
    all: Annotated[
        Path | None,
        typer.Option("--all", metavar="DIR", help="Write the schemas of all kinds to a folder."),
    ] = None,
) -> None:
    """Print the JSON Schema of a kind: its fields, defaults and examples.

    Without KIND it is one schema for whole config files, for editors that check and complete.
    """
    if kind is not None and all is not None:
        raise typer.BadParameter("KIND and --all cannot be given together")
    found = _discover()
    if all is not None:
        _write_schemas(all, found)
    elif kind is None:
        say(editors.as_json(bundle(found)).rstrip())
    elif kind in OBJECT_KINDS or kind in found:
        say(editors.as_json(standalone(kind, found)).rstrip())
    else:
        names = [*OBJECT_KINDS, *found]
        hint = did_you_mean(kind, names) or f"there are: {listed(names)}"
        complain(f"no kind {kind!r} is installed; {hint}")
        raise typer.Exit(USAGE)


def _write_schemas(folder: Path, kinds: Kinds) -> None:
    try:
        changed = editors.write_all(folder, kinds)
    except (OSError, ValueError) as error:
        complain(f"the schemas cannot be written to {folder}: {error}")
        raise typer.Exit(USAGE) from None
    say(f"Written to {folder}: {listed(changed, 'nothing, all is as it was')}")
