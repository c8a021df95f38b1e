"""`easews doctor`: why a WebSocket does not come through, and at which hop."""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...schema.units import seconds
from ..options import FORMATS, PROBLEMS, choice
from ..report import has_colour, say, width_of
from .asking import Client, Field, Target, target_of
from .options import (
    Authority,
    Expected,
    Headers,
    Idle,
    Message,
    Origin,
    Protocols,
    Timeout,
    Urls,
    Via,
)

if TYPE_CHECKING:
    from .findings import Finding
    from .seen import Hop

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")


def doctor(
    urls: Urls,
    via: Via = None,
    origin: Origin = None,
    protocol: Protocols = None,
    header: Headers = None,
    send: Message = None,
    expect: Expected = None,
    idle: Idle = "0",
    timeout: Timeout = "5s",
    ca: Authority = None,
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
    client = _client(targets[0], origin, protocol or (), header or ())
    from .examination import examine  # what only this command needs, loaded by it alone
    from .hops import findings
    from .probes import Battery

    times = _seconds(timeout, "--timeout"), _seconds(idle, "--idle")
    hops = examine(targets, Battery(client, _trusting(ca), times[0], send, expect, times[1]))
    found = findings(hops, client.protocols)
    _show(hops, found, format)
    raise typer.Exit(PROBLEMS if any(finding.problem for finding in found) else 0)


def _show(hops: Sequence[Hop], found: Sequence[Finding], format: str) -> None:
    from .report import as_json, text

    if format == "json":
        say(as_json(hops, found))
    else:
        say(text(hops, found, width_of(sys.stdout), colour=has_colour(sys.stdout)))


def _trusting(ca: Path | None) -> ssl.SSLContext:
    """What certificates are checked by."""
    from .wires import strict_context

    try:
        return strict_context(ca)
    except (OSError, ssl.SSLError) as error:
        raise typer.BadParameter(f"{ca}: {error}", param_hint="--ca") from None


def _client(
    first: Target, origin: str | None, protocols: Sequence[str], headers: Sequence[str]
) -> Client:
    """Who asks, as the options say."""
    _check_names(origin, protocols)
    fields = tuple(map(_field, headers))
    host = _given_host(fields) or first.authority
    return Client(host, origin or first.origin, tuple(protocols), fields)


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
