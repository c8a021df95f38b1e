"""What the commands of `easews ctl` have in common: their options and arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Address = Annotated[
    str,
    typer.Option(
        "--admin",
        metavar="ADDRESS",
        envvar="EASEWS_ADMIN",
        help="Where `admin` of the Gateway listens: HOST:PORT, unix:/PATH, or a URL.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The file with its token. Without it, EASEWS_TOKEN has the token."
    ),
]
Client = Annotated[str | None, typer.Option(metavar="IP", help="The client's address.")]
Server = Annotated[str | None, typer.Option(metavar="NAME", help="The HTTPServer.")]
RoutePath = Annotated[
    str | None, typer.Option("--route", metavar="PATH", help="The path of the config.")
]
Pipeline = Annotated[str | None, typer.Option(metavar="NAME", help="The pipeline.")]
Backend = Annotated[str | None, typer.Option(metavar="URL", help="The server of the pool.")]
AskedPath = Annotated[
    str | None, typer.Option("--path", metavar="PATH", help="What the client has asked for.")
]
Label = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A label that it has. Repeatable.")
]
Search = Annotated[str | None, typer.Option(metavar="TEXT", help="A text in any of these.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a session.", show_default=False)]
Url = Annotated[
    str, typer.Argument(metavar="URL", help="The URL as the pool has it.", show_default=False)
]
Number = Annotated[
    int,
    typer.Argument(
        metavar="NUMBER", min=1, help="The number of a worker, as in `status`.", show_default=False
    ),
]
