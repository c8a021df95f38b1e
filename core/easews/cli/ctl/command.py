"""The commands of `easews ctl`: how each is called, and those that are not about sessions."""

from __future__ import annotations

import sys
import time

import typer
import yaml

from ..options import PROBLEMS, Json, epilog
from ..report import has_colour, say, summary, width_of
from .address import DEFAULT
from .answers import gateway_at, show
from .options import Address, Number, TokenFile, Url
from .sessions import close, ping, session, sessions, tap
from .views import pools_text, reload_text, replaced_text, status_text, upgrade_text

app: typer.Typer = typer.Typer(
    name="ctl",
    help="Ask a running gateway, or have it do something, over its admin interface.",
    epilog="Exit status: 0 when it is done, 1 when it is not, 2 for a wrong command line.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _status(what: str) -> str:
    return f"0 {what}, 1 when the gateway cannot be asked or refuses"


@app.command(epilog=epilog(_status("when it has answered"), "easews ctl status"))
def status(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Show the gateway as a whole: its state, sessions, generations, listeners and workers."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.get("/status")
    out, now = sys.stdout, time.time()
    show(value, as_json, lambda: status_text(value, now, width_of(out), colour=has_colour(out)))


app.command(
    epilog=epilog(
        _status("when it has answered"),
        "easews ctl sessions --route /chat",
        "easews ctl sessions --label user=ann --json | jq -r '.sessions[].id'",
        "easews ctl sessions --search 10.0.0. --watch",
    )
)(sessions)
app.command(epilog=epilog(_status("when it is open"), "easews ctl session 3e7131c0-10"))(session)
app.command(
    epilog=epilog(
        _status("when some are closed; 1 as well when there is none"),
        "easews ctl close 3e7131c0-10",
        "easews ctl close --label user=ann --code 4001 --reason 'logged out'",
        "easews ctl close --backend ws://10.0.0.5:9000 --yes",
    )
)(close)
app.command(epilog=epilog(_status("when it is open"), "easews ctl ping 3e7131c0-10"))(ping)


@app.command(epilog=epilog(_status("when it has answered"), "easews ctl pools"))
def pools(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """List the servers of all pools, and how they are."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.get("/pools")
    out, now = sys.stdout, time.time()
    show(value, as_json, lambda: pools_text(value, now, width_of(out), colour=has_colour(out)))


@app.command(epilog=epilog(_status("when it is drained"), "easews ctl drain ws://10.0.0.5:9000"))
def drain(
    url: Url, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Give a server nothing new, and close its sessions slowly."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.post("/servers/drain", {"url": url})
    show(value, as_json, lambda: _drained(url, value["sessions"]))


def _drained(url: str, count: int) -> str:
    ends = "is closed" if count == 1 else "are closed"
    return f"{url} gets nothing new; {summary(count, 'session')} {ends} slowly"


@app.command(epilog=epilog(_status("when it is used"), "easews ctl undrain ws://10.0.0.5:9000"))
def undrain(
    url: Url, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Use a server again that was drained."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.post("/servers/undrain", {"url": url})
    how = {True: "is used again", False: "was not drained"}
    show(value, as_json, lambda: f"{url} {how[value['undrained']]}")


@app.command(
    epilog=epilog(
        "0 when it is served, 1 when the config is refused or the gateway cannot be asked",
        "easews ctl reload",
    )
)
def reload(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Have the config read again, and served unless something is wrong with it."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.post("/reload", having="outcome")
    show(value, as_json, lambda: reload_text(value))
    raise typer.Exit(PROBLEMS if value["outcome"] == "refused" else 0)


@app.command(epilog=epilog(_status("when it has answered"), "easews ctl config > served.yaml"))
def config(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Print the objects that are served, with defaults filled in and secrets masked."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.get("/config")
    show(value, as_json, lambda: _as_yaml(value))


def _as_yaml(objects: list[object]) -> str:
    text: str = yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True)
    return text.rstrip("\n")


@app.command(epilog=epilog(_status("when another process has taken over"), "easews ctl upgrade"))
def upgrade(admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Have a new process of the installed easews take over, with all sessions."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.post("/upgrade", having="outcome")
    show(value, as_json, lambda: upgrade_text(value))
    raise typer.Exit(PROBLEMS if value["outcome"] == "refused" else 0)


@app.command(
    epilog=epilog(_status("when a new process has taken its place"), "easews ctl replace-worker 2")
)
def replace_worker(
    number: Number, admin: Address = DEFAULT, token_file: TokenFile = None, as_json: Json = False
) -> None:
    """Have a new process take the place of one of several workers, with all sessions."""
    with gateway_at(admin, token_file) as gateway:
        value = gateway.post(f"/workers/{number}/replace", having="outcome")
    show(value, as_json, lambda: replaced_text(value))
    raise typer.Exit(PROBLEMS if value["outcome"] == "refused" else 0)


@app.command(epilog=epilog(_status("when it has answered"), "easews ctl metrics | grep sessions"))
def metrics(admin: Address = DEFAULT, token_file: TokenFile = None) -> None:
    """Print the metrics, as OpenMetrics text."""
    with gateway_at(admin, token_file) as gateway:
        say(gateway.text("/metrics").rstrip("\n"))


app.command(
    epilog=epilog(
        _status("when the session is over"),
        "easews ctl tap 3e7131c0-10",
        "easews ctl tap 3e7131c0-10 --json | jq 'select(.type == \"close\")'",
    )
)(tap)
