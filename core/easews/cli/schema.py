"""`easews schema`: JSON Schemas for editors and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config.phrases import listed
from ..config.standalone import bundle, standalone
from ..plugins import Kinds, discover
from . import editors
from .options import USAGE, KindName, check_kind
from .report import complain, complain_of_broken, say


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
    found = discover()
    complain_of_broken(found.broken)
    if all is not None:
        _write_schemas(all, found)
    elif kind is None:
        say(editors.as_json(bundle(found)).rstrip())
    else:
        check_kind(kind, found)
        say(editors.as_json(standalone(kind, found)).rstrip())


def _write_schemas(folder: Path, kinds: Kinds) -> None:
    try:
        changed = editors.write_all(folder, kinds)
    except (OSError, ValueError) as error:
        complain(f"the schemas cannot be written to {folder}: {error}")
        raise typer.Exit(USAGE) from None
    say(f"Written to {folder}: {listed(changed, 'nothing, all is as it was')}")
