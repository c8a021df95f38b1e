"""Whatever clients and servers do: the log, the metrics and the admin interface tell the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from socket import SHUT_RDWR
from threading import Thread
from time import monotonic
from typing import Any

import httpx
import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import connect
from tests.exposition import Scrape
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.server import ServerConnection, serve

ROUTES = ("/one", "/two")


@contextmanager
def backend() -> Iterator[str]:
    """Echoes messages; one that is a number is the code of the Close that it answers with."""

    def echo(ws: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for message in ws:
                if isinstance(message, str) and message.isdigit():
                    ws.close(int(message))
                    return
                ws.send(message)

    with serve(echo, LOOPBACK, 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://{LOOPBACK}:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def measured(folder: Path) -> Iterator[tuple[Gateway, httpx.Client]]:
    with backend() as url:
        routes = [proxied(route, url) for route in ROUTES]
        objects = {
            "kind": "Gateway",
            "name": "g",
            "admin": {"address": f"{LOOPBACK}:0"},
            "log": {"format": "json"},
        }
        text = f"{config(free_port(), *routes)}---\n{json.dumps(objects)}\n"
        with running(text, folder) as gateway:
            at = gateway.admin_url()
            with httpx.Client(base_url=at, timeout=PATIENCE) as admin:
                yield gateway, admin


def end(ws: ClientConnection, how: int, code: int) -> None:
    """Have a session end in one of these ways."""
    if how == 0:
        ws.close(code)
    elif how == 1:
        ws.send(str(code))
    else:
        ws.socket.shutdown(SHUT_RDWR)
    with suppress(ConnectionClosed):
        ws.recv(PATIENCE)


def events(gateway: Gateway, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gateway.log.having(f'"event": "{name}"')]


def scrape(admin: httpx.Client) -> Scrape:
    answer = admin.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    return Scrape(answer.content)


@pytest.mark.parametrize("seed", range(2))
def test_log_metrics_and_admin_interface_agree(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    with measured(tmp_path) as (gateway, admin), ExitStack() as stack:
        opened, ended = 0, 0
        for _ in range(40):
            route = random.choice((*ROUTES, "/nowhere"))
            try:
                ws = stack.enter_context(connect(gateway.ws(route)))
            except InvalidStatus:
                continue
            opened += 1
            for _ in range(random.randrange(5)):
                ws.send("x" * random.randrange(2000))
                ws.recv(PATIENCE)
            if random.random() < 0.7:
                end(ws, random.randrange(3), random.choice((1000, 1001, 1011, 3000, 4321)))
                ended += 1
        for _ in range(5):
            httpx.get(gateway.http(random.choice((*ROUTES, "/nowhere"))))
        wait_until(gateway, admin, opened - ended)
        compare(gateway, admin)


def wait_until(gateway: Gateway, admin: httpx.Client, left: int) -> None:
    """Until so many sessions are open, and the log has told of those that are not."""
    gives_up = monotonic() + PATIENCE
    while monotonic() < gives_up:
        figures = scrape(admin)
        told = len(events(gateway, "request")), len(events(gateway, "session"))
        known = [figures.sum(f"easews_{it}_total") for it in ("requests", "sessions_closed")]
        if figures.sum("easews_sessions_open") == left and told == (known[0], known[1]):
            return
    raise AssertionError("it did not come to that")


def compare(gateway: Gateway, admin: httpx.Client) -> None:
    figures, status = scrape(admin), admin.get("/api/v1/status").json()
    sessions = admin.get("/api/v1/sessions").json()["sessions"]
    over, requests = events(gateway, "session"), events(gateway, "request")
    assert figures.sum("easews_sessions_open") == status["sessions"] == len(sessions)
    assert figures.sum("easews_sessions_opened_total") == len(sessions) + len(over)
    for route in ROUTES:
        way = {"server": "test-server", "route": route}
        mine = [it for it in (*over, *sessions) if it["route"] == route]
        for what in ("messages", "bytes"):
            name = f"easews_session_{what}_total"
            assert figures.sum(name, sender="client", **way) == total(mine, f"{what}_in")
            assert figures.sum(name, sender="backend", **way) == total(mine, f"{what}_out")
        closed = [it for it in over if it["route"] == route]
        by = Counter((it["closed_by"], folded(it["code"])) for it in closed)
        told = figures.series("easews_sessions_closed_total", **way)
        assert {(it["by"], it["code"]): count for it, count in told} == by
        statuses = Counter(str(it["status"]) for it in requests if it["route"] == route)
        told = figures.series("easews_requests_total", **way)
        assert {it["status"]: count for it, count in told} == statuses
    lost = figures.sum("easews_requests_total", route="", status="404")
    assert lost == sum(it["status"] == 404 and it["route"] == "" for it in requests)


def total(fields: list[dict[str, Any]], name: str) -> int:
    return sum(it[name] for it in fields)


def folded(code: int) -> str:
    return f"{code // 1000}xxx" if code >= 3000 else str(code)
