"""The commands and their exit status: 0 clean, 1 problems, 2 usage errors."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from ..config import Config
from ..errors import ConfigError, Problem
from ..plugins import build_notes, discover
from . import plugins
from .configs import read, report
from .ctl.command import app as ctl
from .diff import diff
from .doctor.command import doctor
from .explain import explain
from .init import init
from .kinds import kinds
from .new import new
from .options import FORMATS, PROBLEMS, Files, choice, epilog
from .report import problems_json, say, summary
from .run import run
from .schema import schema

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
    found, installed = "", discover()
    try:
        found = _found(read(files, installed))
    except ConfigError as error:
        problems = error.problems
    if format == "json":
        say(problems_json(problems))
    else:
        say(report(problems, sys.stdout, installed) if problems else f"No problems: {found}")
    raise typer.Exit(PROBLEMS if problems else 0)


def _found(config: Config) -> str:
    servers, pipelines = len(config.servers), len(config.pipelines)
    found = f"{summary(servers, 'server')}, {summary(pipelines, 'pipeline')}"
    return found if servers else f"{found}; to be run it needs an HTTPServer, too"


app.command(
    epilog=epilog(
        "0 when it was stopped and all sessions and requests have ended, 1 when the config has"
        " problems or it cannot serve, 3 when sessions or requests had to be cut",
        "easews run config.yaml",
        "easews run --backend uvloop --log-format json config/",
        "easews run --watch config.yaml",
        "easews run --watch-plugins my_filter.py config.yaml",
    )
)(run)

app.command(
    epilog=epilog(
        "0 when nothing is different, 1 when something is",
        "easews diff /etc/easews new/",
        "git show HEAD:easews.yaml | easews diff - easews.yaml",
        "easews diff old.yaml new.yaml --json | jq '.changes[] | select(.drains)'",
        usage="2 when a config has problems, or for a wrong command line",
    )
)(diff)

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

app.command(
    epilog=epilog(
        "0 when nothing is wrong, 1 when something is",
        "easews doctor wss://chat.example/ws",
        "easews doctor wss://chat.example/ws --via http://10.0.0.5:8080/ws --via"
        " ws://127.0.0.1:9000/ws",
        "easews doctor ws://127.0.0.1:8080/ws --protocol chat --send hello --idle 70s",
        "easews doctor wss://chat.example/ws --header 'Cookie: session=...' --format json",
    )
)(doctor)

app.add_typer(plugins.app)
app.add_typer(ctl)
