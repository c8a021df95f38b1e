"""The commands of `easews ctl` on sessions: list, show, close, ping and tap them."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import quote

import typer

from ...operate.control import SessionPage
from ...operate.queries import EXACT, LIMIT, MOST
from ..options import PROBLEMS, Json
from ..report import complain, has_colour, summary, width_of
from .address import DEFAULT
from .answers import gateway_at, show, show_line
from .conditions import Conditions, conditions
from .options import (
    Address,
    AskedPath,
    Backend,
    Client,
    Id,
    Label,
    Pipeline,
    RoutePath,
    Search,
    Server,
    TokenFile,
)
from .views import frame_text, session_text, sessions_text

if TYPE_CHECKING:
    from .asking import Admin

#: Seconds from one picture to the next.
_STEP = 1.0
_CLEAR = "\x1b[H\x1b[2J"
#: Lines above and below the rows of a table: heading, sum, cursor.
_AROUND = 3


def sessions(
    client: Client = None,
    server: Server = None,
    route: RoutePath = None,
    pipeline: Pipeline = None,
    backend: Backend = None,
    path: AskedPath = None,
    label: Label = None,
    search: Search = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many at most.")] = LIMIT,
    watch: Annotated[bool, typer.Option("--watch", help="Ask again every second.")] = False,
    admin: Address = DEFAULT,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """List open sessions, oldest first: all, or those for which every option holds."""
    wanted = _conditions(label, search, client, server, route, pipeline, backend, path)
    with gateway_at(admin, token_file) as gateway:
        if not watch:
            _show_sessions(_pages(gateway, wanted, limit), as_json)
            return
        with suppress(KeyboardInterrupt):
            while True:
                page = _pages(gateway, wanted, limit)
                _show_sessions(page, as_json, watched=sys.stdout.isatty() and not as_json)
                sys.stdout.flush()
                time.sleep(_STEP)


def _show_sessions(page: SessionPage, as_json: bool, watched: bool = False) -> None:
    """Print them; if they are watched, as far as the terminal has lines, in place of the last."""
    out = sys.stdout
    rows = shutil.get_terminal_size().lines - _AROUND if watched else None
    clear = _CLEAR if watched else ""
    show(
        page,
        as_json,
        lambda: clear + sessions_text(page, width_of(out), rows, colour=has_colour(out)),
    )


def _conditions(labels: list[str] | None, search: str | None, *exact: str | None) -> Conditions:
    """What the options mean; `exact` are those for the fields of `EXACT`, in this order."""
    fields = dict(zip(EXACT, exact, strict=True))
    try:
        return conditions(labels or (), search=search, **fields)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--label") from None


def _pages(gateway: Admin, wanted: Conditions, limit: int) -> SessionPage:
    """The first sessions, in as many answers as it takes."""
    page = gateway.get("/sessions" + wanted.query(limit=min(limit, MOST)), "next")
    while page["next"] and len(page["sessions"]) < limit:
        left = min(limit - len(page["sessions"]), MOST)
        more = gateway.get("/sessions" + wanted.query(limit=left, after=page["next"]), "next")
        page = {**more, "sessions": page["sessions"] + more["sessions"]}
    return cast(SessionPage, page)


def session(
    id: Id, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Show an open session."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.get(f"/sessions/{quote(id, safe='')}")
    out = sys.stdout
    show(value, as_json, lambda: session_text(value, width_of(out), colour=has_colour(out)))


def close(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Ids of sessions.", show_default=False),
    ] = None,
    client: Client = None,
    server: Server = None,
    route: RoutePath = None,
    pipeline: Pipeline = None,
    backend: Backend = None,
    path: AskedPath = None,
    label: Label = None,
    search: Search = None,
    code: Annotated[
        int | None,
        typer.Option(
            metavar="CODE", help="Of the Close: 1000-1003, 1007-1014 or 3000-4999; 1001 without it."
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Beside the code, 123 bytes at most.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    admin: Address = DEFAULT,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Close sessions: those with these ids, or those for which every option holds.

    On a terminal it asks first when they are more than one.
    """
    wanted = _conditions(label, search, client, server, route, pipeline, backend, path)
    if not ids and not wanted:
        raise typer.BadParameter("name sessions by id, or by an option such as --client")
    with gateway_at(admin, token_file) as gateway:
        if not yes and _is_terminal():
            _confirm(len(ids) if ids else _total(gateway, wanted))
        body = {**wanted.body(), **({"ids": ids} if ids else {}), **_close(code, reason)}
        value = gateway.post("/sessions/close", body, "closed")
    show(value, as_json, lambda: f"{summary(value['closed'], 'session')} told to close")
    raise typer.Exit(0 if value["closed"] else PROBLEMS)


def _total(gateway: Admin, wanted: Conditions) -> int:
    total: int = gateway.get("/sessions" + wanted.query(limit=1), "total")["total"]
    return total


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _confirm(number: int) -> None:
    if number > 1 and not typer.confirm(f"Close {number:,} sessions?", err=True):
        complain("nothing is closed")
        raise typer.Exit(PROBLEMS)


def _close(code: int | None, reason: str | None) -> dict[str, Any]:
    given = {"code": code, "reason": reason}
    return {name: value for name, value in given.items() if value is not None}


def ping(
    id: Id, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Ping both sides of a session; `session` shows what came of it."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.post(f"/sessions/{quote(id, safe='')}/ping")
    show(value, as_json, lambda: f"both sides of {id} get a ping")


def tap(
    id: Id, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Show the frames of a session as they pass, until it is over or Ctrl-C.

    With --json each is a line of JSON.
    """
    with gateway_at(admin, token_file) as gateway:
        try:
            for frame in gateway.lines(f"/sessions/{quote(id, safe='')}/tap"):
                show_line(frame, as_json, frame_text)
                sys.stdout.flush()
        except KeyboardInterrupt:
            pass
