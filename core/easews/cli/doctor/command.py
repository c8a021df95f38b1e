"""`easews doctor`: why a WebSocket does not come through, and at which hop."""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ...schema.units import seconds
from ..options import FORMATS, PROBLEMS, choice
from ..report import has_colour, say, width_of
from .asking import Client, Field, Target, target_of

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")


def doctor(
    urls: Annotated[
        list[str],
        typer.Argument(
            metavar="URL...",
            help="The public URL: ws://, wss://, or http:// and https://, which mean the same."
            " Further URLs are those of the hops behind it, from the outside in.",
            show_default=False,
        ),
    ],
    via: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="A hop behind them: a proxy, or the server itself. Repeatable."
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(metavar="ORIGIN", help="Of the page. Without it, that of the first URL."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A subprotocol to offer. Repeatable."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: VALUE'", help="A header field for all requests, such as a cookie."
        ),
    ] = None,
    send: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Send this message, and wait for another.")
    ] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the answer to --send has to contain.")
    ] = None,
    idle: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="Leave a session alone for so long, such as 70s, to find idle timeouts.",
            show_default=False,
        ),
    ] = "0",
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="For each step: how long an answer may take.")
    ] = "5s",
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Trust this authority as well (PEM).", dir_okay=False),
    ] = None,
    format: Annotated[str, choice(FORMATS, "Text, or JSON for machines.")] = "text",
) -> None:
    """Find out why a WebSocket does not come through a server or proxy, whichever it is.

    It makes the handshake that a browser makes, and others that differ in one thing; it sends a
    ping and a Close. Then it says what was dropped or refused, by whom, and what to change there.
    With several URLs it says at which hop something gets lost.
    """
    if expect is not None and send is None:
        raise typer.BadParameter(
            "there is no message to answer without --send", param_hint="--expect"
        )
    targets = [_target(url) for url in [*urls, *(via or ())]]
    _check_names(origin, protocol or ())
    fields = tuple(_field(one) for one in header or ())
    client = Client(
        _given_host(fields) or targets[0].authority,
        origin or targets[0].origin,
        tuple(protocol or ()),
        fields,
    )
    from .examination import examine  # what only this command needs, loaded by it alone
    from .hops import findings
    from .probes import Battery
    from .report import as_json, text
    from .wires import strict_context

    try:
        strict = strict_context(ca)
    except (OSError, ssl.SSLError) as error:
        raise typer.BadParameter(f"{ca}: {error}", param_hint="--ca") from None
    battery = Battery(
        client, strict, _seconds(timeout, "--timeout"), send, expect, _seconds(idle, "--idle")
    )
    hops = examine(targets, battery)
    found = findings(hops, client.protocols)
    if format == "json":
        say(as_json(hops, found))
    else:
        say(text(hops, found, width_of(sys.stdout), colour=has_colour(sys.stdout)))
    raise typer.Exit(PROBLEMS if any(finding.problem for finding in found) else 0)


def _check_names(origin: str | None, protocols: Sequence[str]) -> None:
    """Refuse what cannot stand in a header."""
    if origin is not None and not _VALUE.fullmatch(origin):
        raise typer.BadParameter(
            "it has a character that no header may have", param_hint="--origin"
        )
    if not all(map(_TOKEN.fullmatch, protocols)):
        wrong = "a subprotocol is a word without spaces and commas"
        raise typer.BadParameter(wrong, param_hint="--protocol")


def _given_host(fields: Sequence[Field]) -> str:
    return next((value for name, value in fields if name.lower() == "host"), "")


def _target(url: str) -> Target:
    try:
        return target_of(url)
    except ValueError as error:
        hint = f"; {error.args[1]}" if len(error.args) > 1 else ""
        raise typer.BadParameter(f"it is no URL: {error.args[0]}{hint}", param_hint="URL") from None


def _field(given: str) -> Field:
    name, colon, value = given.partition(":")
    value = value.strip()
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise typer.BadParameter(
            "it is no header field; write it as 'Name: value'", param_hint="--header"
        )
    return name, value


def _seconds(given: str, option: str) -> float:
    try:
        return seconds(given)
    except ValueError:
        wrong = f"{given!r} is no duration; write one such as 70s or 5m"
        raise typer.BadParameter(wrong, param_hint=option) from None
