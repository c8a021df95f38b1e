"""`easews explain`: which path, pipeline and filters a request would meet, and why."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..errors import ConfigError
from ..plugins import discover
from ..server.routing import Refused
from .asked import Unclear, asked, server_for
from .configs import read, report
from .explanation import as_json, explained, text
from .options import PROBLEMS, Files, Json
from .report import has_colour, say, say_json, width_of


def explain(
    files: Files,
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="What a client asks for: ws://HOST[:PORT]/PATH, or http://."
        ),
    ],
    method: Annotated[str, typer.Option(metavar="METHOD", help="The method.")] = "GET",
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: VALUE'", help="A header field; may be given several times."),
    ] = None,
    client_ip: Annotated[
        str, typer.Option(metavar="IP", help="The client, as trusted proxies report it.")
    ] = "127.0.0.1",
    server: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which HTTPServer, if the port is not enough."),
    ] = None,
    machine_readable: Json = False,
) -> None:
    """Explain what becomes of a request, without sending it.

    It names the server, the path that matches, why those in front of it do not, what is sent on,
    the filters, and which of them read messages. Filters are not asked: what they would answer is
    not known.
    """
    kinds = discover()
    try:
        config = read(files, kinds)
    except ConfigError as error:
        say(report(error.problems, sys.stderr, kinds), sys.stderr)
        raise typer.Exit(PROBLEMS) from None
    try:
        request = asked(url, method, header or (), client_ip)
        spec, note = server_for(request, config, server)
    except Unclear as error:
        raise typer.BadParameter(str(error), param_hint=error.about) from None
    found = explained(request, config, spec, note)
    if machine_readable:
        say_json(as_json(found))
    else:
        say(text(found, width_of(sys.stdout), colour=has_colour(sys.stdout)))
    raise typer.Exit(PROBLEMS if isinstance(found.answer, Refused) else 0)
