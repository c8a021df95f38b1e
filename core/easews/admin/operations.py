"""The operations: one table that requests are routed, checked and documented by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

from ..http import Response
from ..operate.control import (
    NOT_OPEN,
    Control,
    PoolState,
    Query,
    ReloadResult,
    SessionPage,
    SessionState,
    Status,
    UpgradeResult,
    WorkerReplaced,
)
from .answers import (
    Closed,
    Drained,
    Health,
    ObjectName,
    Pinged,
    Readiness,
    Undrained,
)
from .auth import Access
from .fields import CLOSE, CONDITIONS, IDS, NOTHING, PAGE, URL, Schema, fields_of
from .lines import LINES, lines

API = "/api/v1"
#: What stands behind these parts of a path.
PARAMETERS = {"sessions": "id", "workers": "number"}


class NotFound(Exception):
    """There is no such session; or whatever else the text names."""


class Given(NamedTuple):
    """What a request gives. `id` is what stands in the path; `fields` are of query or body."""

    control: Control
    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that can be asked for.

    name     identifies it in the document
    answer   the type of the answer's JSON, or the media type of what is no JSON
    run      gives the answer: a value for JSON, or a Response
    query    the parameters that the query may have
    body     the schema of the body; None: there is none
    access   who may ask
    changes  whether it changes something, so that the log has a line of it
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    summary: str
    answer: Any
    run: Callable[[Given], Awaitable[object]]
    query: Schema | None = None
    body: Schema | None = None
    access: Access = "token"
    changes: bool = False
    statuses: Mapping[int, str] = field(default_factory=dict)


async def _status(given: Given) -> Status:
    return await given.control.status()


async def _config(given: Given) -> list[object]:
    return await given.control.config()


async def _objects(given: Given) -> list[ObjectName]:
    return [_named(cast(dict[str, Any], it)) for it in await given.control.config()]


def _named(it: Mapping[str, Any]) -> ObjectName:
    paths = [path for rule in it.get("rules", ()) for path in rule["paths"]]
    return {
        "kind": it["kind"],
        "name": it["name"],
        "backends": [*dict.fromkeys(path["backend"] for path in paths)],
        "filters": [{"kind": own["kind"], "name": own["name"]} for own in it.get("filters", ())],
    }


async def _pools(given: Given) -> list[PoolState]:
    return await given.control.pools()


async def _sessions(given: Given) -> SessionPage:
    return await given.control.sessions(cast(Query, given.fields))


async def _session(given: Given) -> SessionState:
    return _found(await given.control.session(given.id))


def _found(state: SessionState | None) -> SessionState:
    if state is None:
        raise NotFound(NOT_OPEN)
    return state


async def _close_one(given: Given) -> Closed:
    closed = await given.control.close({"ids": [given.id]}, **given.fields)
    if not closed:
        raise NotFound(NOT_OPEN)
    return {"closed": closed}


async def _close(given: Given) -> Closed:
    query = {name: it for name, it in given.fields.items() if name not in CLOSE}
    code, reason = given.fields["code"], given.fields["reason"]
    return {"closed": await given.control.close(cast(Query, query), code, reason)}


async def _ping(given: Given) -> Pinged:
    if not await given.control.ping(given.id):
        raise NotFound(NOT_OPEN)
    return {"pinged": True}


async def _tap(given: Given) -> Response:
    _found(await given.control.session(given.id))
    return await lines(given.control.tap(given.id))


async def _drain(given: Given) -> Drained:
    return {"sessions": await given.control.drain_server(given.fields["url"])}


async def _undrain(given: Given) -> Undrained:
    return {"undrained": await given.control.undrain_server(given.fields["url"])}


async def _reload(given: Given) -> ReloadResult:
    return await given.control.reload()


async def _upgrade(given: Given) -> UpgradeResult:
    return await given.control.upgrade()


async def _replace_worker(given: Given) -> WorkerReplaced:
    number = int(given.id) if given.id.isascii() and given.id.isdecimal() else 0
    replaced = await given.control.replace_worker(number if number < 10_000 else 0)
    if replaced is None:
        raise NotFound("there is no worker with this number")
    return replaced


async def _health(given: Given) -> Health:
    return {"alive": True}


async def _readiness(given: Given) -> object:
    state = await given.control.state()
    found: Readiness = {"ready": state == "ready", "state": state}
    return found if found["ready"] else (503, found)


async def _metrics(given: Given) -> Response:
    text = await given.control.metrics()
    return Response(200, [("Content-Type", OPENMETRICS)], text)


OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_BY_ANY = [{"required": [name]} for name in (*CONDITIONS, "ids")]

OPERATIONS: tuple[Operation, ...] = (
    Operation("status", "GET", f"{API}/status", "The gateway as a whole.", Status, _status),
    Operation(
        *("config", "GET", f"{API}/config"),
        "The objects that are served, defaults filled in and secrets masked.",
        *(list[object], _config),
    ),
    Operation(
        *("objects", "GET", f"{API}/objects"),
        "The names of these objects, and what leads where.",
        *(list[ObjectName], _objects),
    ),
    Operation(
        *("pools", "GET", f"{API}/pools"),
        "The pools of all filters, and the health of their servers.",
        *(list[PoolState], _pools),
    ),
    Operation(
        *("sessions", "GET", f"{API}/sessions"),
        "Open sessions, oldest first, a page at a time.",
        *(SessionPage, _sessions),
        query=fields_of({**CONDITIONS, **PAGE}),
    ),
    Operation(
        *("session", "GET", f"{API}/sessions/{{id}}", "One open session."),
        *(SessionState, _session),
    ),
    Operation(
        *("closeSession", "POST", f"{API}/sessions/{{id}}/close", "Close a session."),
        *(Closed, _close_one),
        body=fields_of(CLOSE),
        changes=True,
    ),
    Operation(
        *("pingSession", "POST", f"{API}/sessions/{{id}}/ping"),
        "Ping both sides of a session.",
        *(Pinged, _ping),
        body=NOTHING,
        changes=True,
    ),
    Operation(
        *("tapSession", "GET", f"{API}/sessions/{{id}}/tap"),
        "The frames of a session from now on, for as long as this is read: a line of JSON each.",
        *(LINES, _tap),
    ),
    Operation(
        *("closeSessions", "POST", f"{API}/sessions/close"),
        "Close all sessions that have all of this; at least one condition has to be there.",
        *(Closed, _close),
        body=fields_of({**CONDITIONS, "ids": IDS, **CLOSE}, anyOf=_BY_ANY),
        changes=True,
    ),
    Operation(
        *("drainServer", "POST", f"{API}/servers/drain"),
        "Give a server nothing new, and close its sessions slowly.",
        *(Drained, _drain),
        body=URL,
        changes=True,
    ),
    Operation(
        *("undrainServer", "POST", f"{API}/servers/undrain"),
        "Use a server again that was drained.",
        *(Undrained, _undrain),
        body=URL,
        changes=True,
    ),
    Operation(
        *("reload", "POST", f"{API}/reload"),
        "Read the config again, and serve it unless something is wrong with it.",
        *(ReloadResult, _reload),
        body=NOTHING,
        changes=True,
    ),
    Operation(
        *("upgrade", "POST", f"{API}/upgrade"),
        "Have a new process take over, with all sessions that can move.",
        *(UpgradeResult, _upgrade),
        body=NOTHING,
        changes=True,
    ),
    Operation(
        *("replaceWorker", "POST", f"{API}/workers/{{number}}/replace"),
        "Have a new process take the place of a worker, with all sessions that can move.",
        *(WorkerReplaced, _replace_worker),
        body=NOTHING,
        changes=True,
    ),
    Operation(
        *("health", "GET", "/healthz", "Whether the process lives."),
        *(Health, _health),
        access="open",
    ),
    Operation(
        *("readiness", "GET", "/readyz", "Whether new clients should be sent here."),
        *(Readiness, _readiness),
        access="open",
        statuses={503: "The gateway is starting or draining."},
    ),
    Operation(
        *("metrics", "GET", "/metrics", "The metrics, for Prometheus."),
        *(OPENMETRICS, _metrics),
    ),
)
