"""`easews plugins`: the installed packages of filters, what they cost, and what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ..errors import PluginError
from ..plugins import Plugin, load_plugins
from ..spelling import did_you_mean
from .options import PROBLEMS, USAGE, Json, epilog
from .packages import brief, named, names, package_json, package_page, trouble_text
from .report import (
    complain,
    fitted_table,
    has_colour,
    say,
    say_json,
    summary,
    width_of,
)

app: typer.Typer = typer.Typer(
    name="plugins",
    help="The installed packages of filters: what they bring and cost, and what is wrong.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _names(incomplete: str) -> list[str]:
    return [name for name in names(load_plugins()) if name.startswith(incomplete)]


@app.command(
    "list",
    epilog=epilog(
        "0 when all is well, 1 when a plugin is broken",
        "easews plugins list",
        "easews plugins list --json | jq '.plugins[] | {package, seconds}'",
    ),
)
def list_(as_json: Json = False) -> None:
    """List the packages: version, time to load, kinds.

    Kinds whose filters read messages are marked: sessions that pass one are in message mode.
    """
    plugins, out = load_plugins(), sys.stdout
    if as_json:
        say_json({"plugins": [package_json(plugin) for plugin in plugins]})
    else:
        say(fitted_table(brief(plugins), width_of(out), has_colour(out)))
    _exit(plugins)


@app.command(
    epilog=epilog(
        "0 when all is well, 1 when the plugin is broken",
        "easews plugins show easews-wsproxy",
        "easews plugins show WebSocketProxy",
    )
)
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A package, or one of its kinds.",
            show_default=False,
            autocompletion=_names,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show one package: its source, hooks, fields and cost."""
    found, out = load_plugins(), sys.stdout
    plugins = named(name, found)
    if not plugins:
        known = names(found)
        hint = did_you_mean(name, known) or f"there are: {', '.join(known) or 'none'}"
        complain(f"no package or kind {name!r} is installed; {hint}")
        raise typer.Exit(USAGE)
    if as_json:
        say_json({"plugins": [package_json(plugin) for plugin in plugins]})
    else:
        width, colour = width_of(out), has_colour(out)
        say("\n\n".join(package_page(plugin, width, colour=colour) for plugin in plugins))
    _exit(plugins)


@app.command(
    epilog=epilog(
        "0 when there is no trouble, 1 when there is some",
        "easews plugins doctor",
        "easews plugins doctor --json | jq -r '.trouble[].remedy'",
    )
)
def doctor(as_json: Json = False) -> None:
    """Say what is wrong with them, and what to do."""
    plugins = load_plugins()
    trouble = [plugin.fault for plugin in plugins if plugin.fault is not None] or _none(plugins)
    if as_json:
        say_json({"trouble": [_trouble_json(fault) for fault in trouble]})
    elif trouble:
        width, colour = width_of(sys.stdout), has_colour(sys.stdout)
        say("\n\n".join(trouble_text(fault, width, colour=colour) for fault in trouble))
    else:
        kinds = sum(len(plugin.kinds) for plugin in plugins)
        say(f"No trouble: {summary(len(plugins), 'plugin')}, {summary(kinds, 'kind')}")
    raise typer.Exit(PROBLEMS if trouble else 0)


def _none(plugins: Sequence[Plugin]) -> list[PluginError]:
    """Without any plugin there is no filter to write into a config."""
    if plugins:
        return []
    return [PluginError("easews", "no plugin is installed", "install one, such as easews-wsproxy")]


def _trouble_json(fault: PluginError) -> dict[str, str]:
    return {"package": fault.distribution, "problem": fault.problem, "remedy": fault.remedy}


def _exit(plugins: Sequence[Plugin]) -> None:
    faults = [plugin.fault for plugin in plugins if plugin.fault is not None]
    for fault in faults:
        complain(f"a plugin is broken: {fault}")
    raise typer.Exit(PROBLEMS if faults else 0)
