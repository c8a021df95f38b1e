"""`easews init`: a first config for a backend, with comments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..config import Source, from_sources
from ..errors import ConfigError
from ..plugins import discover
from .report import complain, say
from .starter import BadURL, starter

STDOUT = "-"


def init(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The backend: ws://HOST[:PORT][/PATH], or http://.")
    ] = "ws://127.0.0.1:12345",
    output: Annotated[
        str, typer.Option(metavar="FILE", help="Where to write it; - is standard output.")
    ] = "easews.yaml",
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")] = False,
) -> None:
    """Write a first config for a backend: ws:// for WebSockets only, http:// for pages as well.

    It is a gateway in front of URL and can be run as it is. Its comments explain what to set next.
    """
    file = "easews.yaml" if output == STDOUT else output
    try:
        made = starter(url, file)
    except BadURL as error:
        raise typer.BadParameter(str(error), param_hint="URL") from None
    try:
        from_sources([Source(file, made.text)], discover(), {})
    except ConfigError as error:  # such as a WebSocketProxy that is not installed
        fault = error.problems[0]
        complain(f"a config for {made.backend} would not be valid: {fault.wrong}; {fault.accepted}")
        raise typer.Exit(1) from None
    if output == STDOUT:
        say(made.text.rstrip())
        return
    _write(Path(output), made.text, force)
    say(f"Written to {output}: {made.gateway} leads to {made.backend}\nNext: easews run {output}")


def _write(file: Path, text: str, force: bool) -> None:
    try:
        with file.open("w" if force else "x", encoding="utf-8", errors="backslashreplace") as out:
            out.write(text)
    except FileExistsError:
        remedy = "name another, or overwrite it with --force"
        raise typer.BadParameter(f"{file} exists; {remedy}", param_hint="--output") from None
    except OSError as error:
        reason = f"{file} cannot be written: {error.strerror}"
        raise typer.BadParameter(reason, param_hint="--output") from None
