"""`easews diff`: what would change if one config took the place of another."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..config import Config
from ..errors import ConfigError
from ..operate.serving.changes import Change
from ..operate.serving.reload import plan
from ..plugins import Kinds, discover
from .configs import read, report
from .options import USAGE, Json
from .report import GREEN, RED, YELLOW, has_colour, painted, say, say_json, summary

#: As diff(1) has it.
SAME, DIFFERENT, INVALID = 0, 1, USAGE

_SIGNS = {"added": ("+", GREEN), "removed": ("-", RED), "changed": ("~", YELLOW)}
_ONE = "A YAML file, a folder, or - for standard input."


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_ONE, show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=_ONE, show_default=False)],
    machine_readable: Json = False,
) -> None:
    """Show what a reload from one config to another would change.

    A line for each difference: + what is new, - what is gone, ~ what is different, and whether
    open sessions are drained because of it. Comments, formatting, and defaults that are written
    out make no difference. Nothing is started, and no gateway is asked.
    """
    kinds = discover()
    changes = plan(_read(old, kinds), _read(new, kinds)).changes
    if machine_readable:
        say_json({"changes": [_json(change) for change in changes]})
    else:
        say(text(changes, colour=has_colour(sys.stdout)))
    raise typer.Exit(DIFFERENT if changes else SAME)


def _read(path: str, kinds: Kinds) -> Config:
    try:
        return read([path], kinds)
    except ConfigError as error:
        say(report(error.problems, sys.stderr, kinds), sys.stderr)
        raise typer.Exit(INVALID) from None


def text(changes: Sequence[Change], *, colour: bool) -> str:
    """The changes as lines, and what follows from them for sessions."""
    if not changes:
        return "No difference: a reload changes nothing"
    lines = [_line(change, colour) for change in changes]
    drained = sum(change.drains for change in changes)
    ends = "ends" if drained == 1 else "end"
    follows = f"{drained} of them {ends} sessions" if drained else "no session ends because of them"
    return "\n".join([*lines, f"{summary(len(changes), 'change')}; {follows}"])


def _line(change: Change, colour: bool) -> str:
    sign, style = _SIGNS[change.how]
    return painted(f"{sign} {change}", style, colour)


def _json(change: Change) -> dict[str, Any]:
    return {
        "change": change.how,
        "of": change.of,
        "part": change.part,
        "detail": change.detail,
        "drains": change.drains,
    }
