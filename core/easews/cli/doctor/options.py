"""The options of `easews doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Urls = Annotated[
    list[str],
    typer.Argument(
        metavar="URL...",
        help="The public URL: ws://, wss://, or http:// and https://, which mean the same."
        " Further URLs are those of the hops behind it, from the outside in.",
        show_default=False,
    ),
]
Via = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL", help="A hop behind them: a proxy, or the server itself. Repeatable."
    ),
]
Origin = Annotated[
    str | None,
    typer.Option(metavar="ORIGIN", help="Of the page. Without it, that of the first URL."),
]
Protocols = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A subprotocol to offer. Repeatable."),
]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="'NAME: VALUE'", help="A header field for all requests, such as a cookie."
    ),
]
Message = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Send this message, and wait for another.")
]
Expected = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What the answer to --send has to contain.")
]
Idle = Annotated[
    str,
    typer.Option(
        metavar="DURATION",
        help="Leave a session alone for so long, such as 70s, to find idle timeouts.",
        show_default=False,
    ),
]
Timeout = Annotated[
    str, typer.Option(metavar="DURATION", help="For each step: how long an answer may take.")
]
Authority = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Trust this authority as well (PEM).", dir_okay=False),
]
