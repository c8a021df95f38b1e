"""`easews kinds`: the kinds that a config may use, and their packages."""

from __future__ import annotations

import sys
from importlib import metadata

import typer

from ..config.phrases import listed
from ..config.schemas import OBJECT_KINDS, object_schema
from ..plugins import Kinds, discover
from .options import PROBLEMS, KindName, check_kind
from .page import kind_page
from .report import fitted_table, has_colour, say, width_of


def kinds(kind: KindName = None) -> None:
    """List the kinds of object and filter, or the fields of one.

    The list shows the package of each kind and the results of each filter; broken plugins are
    below it. With KIND: its fields, with types, defaults and descriptions.
    """
    found, out = discover(), sys.stdout
    if kind is None:
        say(overview(found, width=width_of(out), colour=has_colour(out)))
        for fault in found.broken:
            say(f"\nBROKEN  {fault}")
        raise typer.Exit(PROBLEMS if found.broken else 0)
    check_kind(kind, found)
    say(kind_page(kind, found, width=width_of(out), colour=has_colour(out)))


def overview(kinds: Kinds, *, width: int | None, colour: bool) -> str:
    """The list. On a terminal the results follow the summary, because they are long."""
    rows = [_HEADING, *_objects(), *_filters(kinds)]
    if width is not None:
        rows = [_HEADING[:3] + _HEADING[4:], *map(_with_results_behind, rows[1:])]
    return fitted_table(rows, width, colour)


_HEADING = ("KIND", "PACKAGE", "VERSION", "RESULTS", "DESCRIPTION")
_NO_RESULTS = "-"


def _objects() -> list[tuple[str, ...]]:
    version = metadata.version("easews")
    return [
        (name, "easews", version, _NO_RESULTS, object_schema(name)["description"])
        for name in OBJECT_KINDS
    ]


def _filters(kinds: Kinds) -> list[tuple[str, ...]]:
    return [
        (
            kind.name,
            kind.distribution,
            kind.version,
            listed(kind.results),
            kind.summary + kind.build_note,
        )
        for kind in kinds.values()
    ]


def _with_results_behind(row: tuple[str, ...]) -> tuple[str, ...]:
    *cells, results, text = row
    return (*cells, text if results == _NO_RESULTS else f"{text} Results: {results}")
