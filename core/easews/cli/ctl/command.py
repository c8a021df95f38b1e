"""The commands of `easews ctl`."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import quote

import typer
import yaml

from ...operate.control import SessionPage
from ..options import PROBLEMS, Json, epilog
from ..report import complain, has_colour, say, summary, width_of
from .address import DEFAULT, endpoint_of
from .conditions import Conditions, conditions
from .views import (
    frame_text,
    pools_text,
    reload_text,
    session_text,
    sessions_text,
    status_text,
    upgrade_text,
)

#: Sessions that one answer has at most.
_PAGE = 1000
#: Seconds from one picture to the next.
_STEP = 1.0
_CLEAR = "\x1b[H\x1b[2J"
#: Lines above and below the rows of a table: heading, sum, cursor.
_AROUND = 3

if TYPE_CHECKING:
    from .asking import Admin

app: typer.Typer = typer.Typer(
    name="ctl",
    help="Ask a running gateway, or have it do something, over its admin interface.",
    epilog="Exit status: 0 when it is done, 1 when it is not, 2 for a wrong command line.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

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


def _status(what: str) -> str:
    return f"0 {what}, 1 when the gateway cannot be asked or refuses"


@contextmanager
def _gateway(address: str, token_file: Path | None) -> Iterator[Admin]:
    """The gateway to ask. What goes wrong is told on standard error, with exit status 1."""
    from .asking import Admin, NoAnswer, token_from  # httpcore, which only these commands need

    try:
        endpoint = endpoint_of(address)
    except ValueError as error:
        raise typer.BadParameter(f"{address!r}: {error.args[0]}", param_hint="--admin") from None
    try:
        admin = Admin(endpoint, token_from(token_file))
        try:
            yield admin
        finally:
            admin.close()
    except NoAnswer as error:
        complain(str(error))
        raise typer.Exit(PROBLEMS) from None


def _show(value: object, as_json: bool, text: Callable[[], str]) -> None:
    """Print what was answered, as JSON or as text. Another version may answer otherwise."""
    if as_json:
        say(json.dumps(value, indent=2))
        return
    try:
        say(text())
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        complain(
            f"the gateway does not answer as this version does ({error!r}); see it with --json"
        )
        raise typer.Exit(PROBLEMS) from None


@app.command(epilog=epilog(_status("when it has answered"), "easews ctl status"))
def status(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Show the gateway as a whole: its state, sessions, generations, listeners and workers."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.get("/status")
    out, now = sys.stdout, time.time()
    _show(value, as_json, lambda: status_text(value, now, width_of(out), colour=has_colour(out)))


@app.command(
    epilog=epilog(
        _status("when it has answered"),
        "easews ctl sessions --route /chat",
        "easews ctl sessions --label user=ann --json | jq -r '.sessions[].id'",
        "easews ctl sessions --search 10.0.0. --watch",
    )
)
def sessions(
    client: Client = None,
    server: Server = None,
    route: RoutePath = None,
    pipeline: Pipeline = None,
    backend: Backend = None,
    path: AskedPath = None,
    label: Label = None,
    search: Search = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many at most.")] = 100,
    watch: Annotated[bool, typer.Option("--watch", help="Ask again every second.")] = False,
    admin: Address = DEFAULT,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """List open sessions, oldest first: all, or those for which every option holds."""
    wanted = _conditions(
        *(label, {"client": client, "server": server, "route": route, "pipeline": pipeline}),
        {"backend": backend, "path": path, "search": search},
    )
    with _gateway(admin, token_file) as gateway:
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
    _show(
        page,
        as_json,
        lambda: clear + sessions_text(page, width_of(out), rows, colour=has_colour(out)),
    )


def _conditions(labels: list[str] | None, *fields: dict[str, str | None]) -> Conditions:
    try:
        return conditions(labels or (), **{name: it for one in fields for name, it in one.items()})
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--label") from None


def _pages(gateway: Admin, wanted: Conditions, limit: int) -> SessionPage:
    """The first sessions, in as many answers as it takes."""
    page = gateway.get("/sessions" + wanted.query(limit=min(limit, _PAGE)), "next")
    while page["next"] and len(page["sessions"]) < limit:
        left = min(limit - len(page["sessions"]), _PAGE)
        more = gateway.get("/sessions" + wanted.query(limit=left, after=page["next"]), "next")
        page = {**more, "sessions": page["sessions"] + more["sessions"]}
    return cast(SessionPage, page)


@app.command(epilog=epilog(_status("when it is open"), "easews ctl session 3e7131c0-10"))
def session(
    id: Id, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Show an open session."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.get(f"/sessions/{quote(id, safe='')}")
    out = sys.stdout
    _show(value, as_json, lambda: session_text(value, width_of(out), colour=has_colour(out)))


@app.command(
    epilog=epilog(
        _status("when some are closed; 1 as well when there is none"),
        "easews ctl close 3e7131c0-10",
        "easews ctl close --label user=ann --code 4001 --reason 'logged out'",
        "easews ctl close --backend ws://10.0.0.5:9000 --yes",
    )
)
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
        int | None, typer.Option(metavar="CODE", help="Of the Close; 1001 without it.")
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
    wanted = _conditions(
        *(label, {"client": client, "server": server, "route": route, "pipeline": pipeline}),
        {"backend": backend, "path": path, "search": search},
    )
    if not ids and not wanted:
        raise typer.BadParameter("name sessions by id, or by an option such as --client")
    with _gateway(admin, token_file) as gateway:
        if not yes and _is_terminal():
            _confirm(len(ids) if ids else _total(gateway, wanted))
        body = {**wanted.body(), **({"ids": ids} if ids else {}), **_close(code, reason)}
        value = gateway.post("/sessions/close", body, "closed")
    _show(value, as_json, lambda: f"{summary(value['closed'], 'session')} told to close")
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


@app.command(epilog=epilog(_status("when it is open"), "easews ctl ping 3e7131c0-10"))
def ping(
    id: Id, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Ping both sides of a session; `session` shows what came of it."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.post(f"/sessions/{quote(id, safe='')}/ping")
    _show(value, as_json, lambda: f"both sides of {id} get a ping")


@app.command(epilog=epilog(_status("when it has answered"), "easews ctl pools"))
def pools(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """List the servers of all pools, and how they are."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.get("/pools")
    out, now = sys.stdout, time.time()
    _show(value, as_json, lambda: pools_text(value, now, width_of(out), colour=has_colour(out)))


@app.command(epilog=epilog(_status("when it is drained"), "easews ctl drain ws://10.0.0.5:9000"))
def drain(
    url: Url, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Give a server nothing new, and close its sessions slowly."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.post("/servers/drain", {"url": url})
    _show(value, as_json, lambda: _drained(url, value["sessions"]))


def _drained(url: str, count: int) -> str:
    ends = "is closed" if count == 1 else "are closed"
    return f"{url} gets nothing new; {summary(count, 'session')} {ends} slowly"


@app.command(epilog=epilog(_status("when it is used"), "easews ctl undrain ws://10.0.0.5:9000"))
def undrain(
    url: Url, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Use a server again that was drained."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.post("/servers/undrain", {"url": url})
    how = {True: "is used again", False: "was not drained"}
    _show(value, as_json, lambda: f"{url} {how[value['undrained']]}")


@app.command(
    epilog=epilog(
        "0 when it is served, 1 when the config is refused or the gateway cannot be asked",
        "easews ctl reload",
    )
)
def reload(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Have the config read again, and served unless something is wrong with it."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.post("/reload", having="outcome")
    _show(value, as_json, lambda: reload_text(value))
    raise typer.Exit(PROBLEMS if value["outcome"] == "refused" else 0)


@app.command(epilog=epilog(_status("when it has answered"), "easews ctl config > served.yaml"))
def config(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Print the objects that are served, with defaults filled in and secrets masked."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.get("/config")
    _show(value, as_json, lambda: _as_yaml(value))


def _as_yaml(objects: list[object]) -> str:
    text: str = yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True)
    return text.rstrip("\n")


@app.command(epilog=epilog(_status("when another process has taken over"), "easews ctl upgrade"))
def upgrade(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Have a new process of the installed easews take over, with all sessions."""
    with _gateway(admin, token_file) as gateway:
        value = gateway.post("/upgrade", having="outcome")
    _show(value, as_json, lambda: upgrade_text(value))
    raise typer.Exit(PROBLEMS if value["outcome"] == "refused" else 0)


@app.command(epilog=epilog(_status("when it has answered"), "easews ctl metrics | grep sessions"))
def metrics(admin: Address = DEFAULT, token_file: TokenFile = None) -> None:
    """Print the metrics, as OpenMetrics text."""
    with _gateway(admin, token_file) as gateway:
        say(gateway.text("/metrics").rstrip("\n"))


@app.command(
    epilog=epilog(
        _status("when the session is over"),
        "easews ctl tap 3e7131c0-10",
        "easews ctl tap 3e7131c0-10 --json | jq 'select(.type == \"close\")'",
    )
)
def tap(
    id: Id, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Show the frames of a session as they pass, until it is over or Ctrl-C.

    With --json each is a line of JSON.
    """
    with _gateway(admin, token_file) as gateway:
        try:
            for frame in gateway.lines(f"/sessions/{quote(id, safe='')}/tap"):
                say(json.dumps(frame) if as_json else frame_text(frame))
                sys.stdout.flush()
        except KeyboardInterrupt:
            pass
