"""Sticky sessions with real clients: httpx and curl keep cookies, and a WebSocket sends them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.e2e.gateway import (
    LOOPBACK,
    PATIENCE,
    FilterEntry,
    Gateway,
    Route,
    config,
    free_port,
    running,
)
from tests.e2e.library import connect
from tests.e2e.test_curl import ask
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

SECRET = "correct horse battery staple"


class Backend:
    """Says its name, as a page and as a message. `/login` sets a cookie of its own."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self._server: Server = serve(self._greet, LOOPBACK, port, process_request=self._page)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)

    def _page(self, client: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        response = client.respond(HTTPStatus.OK, self.name)
        if request.path == "/login":
            response.headers["Set-Cookie"] = "sid=7; Path=/"
        return response

    def _greet(self, client: ServerConnection) -> None:
        client.send(self.name)


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    with ExitStack() as stack:
        yield [stack.enter_context(_closing(Backend(name))) for name in ("one", "two", "three")]


@contextmanager
def _closing(backend: Backend) -> Iterator[Backend]:
    try:
        yield backend
    finally:
        backend.close()


@contextmanager
def sticky(backends: list[Backend], folder: Path, loop: str, **fields: Any) -> Iterator[Gateway]:
    """A gateway with pages and sockets on one path, in front of `backends`."""
    balance = {"policy": "roundRobin", "stickySession": {"mode": "DurationBased", **fields}}
    pools = [{"servers": [{"url": one.url} for one in backends], "loadBalance": balance}]
    filters: list[FilterEntry] = [
        {"kind": "WebSocketProxy", "name": "sockets", "pools": pools},
        {"kind": "Proxy", "name": "pages", "pools": pools},
    ]
    jump = {"filter": "sockets", "jumpIf": {"notWebSocket": "pages"}}
    flow: list[FilterEntry] = [jump, {"filter": "pages"}]
    route = Route("/", filters, flow, {"clientMaxBodySize": -1})
    with running(config(free_port(), route), folder, "--backend", loop) as gateway:
        yield gateway


def browser() -> httpx.Client:
    return httpx.Client(trust_env=False)


def socket_greeting(gateway: Gateway, cookie: str) -> str:
    with connect(gateway.ws("/"), additional_headers={"Cookie": cookie}) as ws:
        return str(ws.recv(PATIENCE))


def test_each_browser_stays_at_its_server_with_pages_and_sockets(
    backends: list[Backend], loop: str, tmp_path: Path
) -> None:
    with sticky(backends, tmp_path, loop) as gateway:
        homes = set()
        for _ in backends:
            with browser() as client:
                names = {client.get(gateway.http("/")).text for _ in range(6)}
                (home,) = names
                homes.add(home)
                cookie = f"theme=dark; EG_SESSION={client.cookies['EG_SESSION']}"
            assert {socket_greeting(gateway, cookie) for _ in range(6)} == {home}
        assert homes == {"one", "two", "three"}


def test_a_socket_gets_a_cookie_that_leads_curl_to_the_same_server(
    curl: str, backends: list[Backend], loop: str, tmp_path: Path
) -> None:
    with sticky(backends, tmp_path, loop) as gateway:
        with connect(gateway.ws("/")) as ws:
            home = ws.recv(PATIENCE)
            assert ws.response is not None
            cookie = ws.response.headers["Set-Cookie"]
        assert cookie.endswith("; Path=/; Max-Age=7200; HttpOnly; SameSite=Lax")
        pages = {ask(curl, gateway.http("/"), "-b", cookie.partition(";")[0])[1] for _ in range(4)}
        assert pages == {home}


def test_a_client_whose_server_is_gone_gets_another_and_stays_there(
    backends: list[Backend], loop: str, tmp_path: Path
) -> None:
    with sticky(backends, tmp_path, loop) as gateway, browser() as client:
        home = client.get(gateway.http("/")).text
        before = client.cookies["EG_SESSION"]
        (gone,) = (one for one in backends if one.name == home)
        gone.close()
        (other,) = {client.get(gateway.http("/")).text for _ in range(4)}
        assert other != home
        assert client.cookies["EG_SESSION"] != before
        with _closing(Backend(home, gone.port)):  # it is back, and its client has moved
            assert {client.get(gateway.http("/")).text for _ in range(4)} == {other}
            assert socket_greeting(gateway, f"EG_SESSION={before}") == home


def test_with_a_secret_cookies_outlive_a_restart(
    backends: list[Backend], loop: str, tmp_path: Path
) -> None:
    with browser() as client:
        with sticky(backends, tmp_path, loop, secret=SECRET) as gateway:
            home = client.get(gateway.http("/")).text
        with sticky(backends[::-1], tmp_path, loop, secret=SECRET) as gateway:
            assert {client.get(gateway.http("/")).text for _ in range(4)} == {home}
            gateway.terminate()
            assert SECRET not in gateway.log.all() + gateway.out.all()


def test_a_cookie_is_set_when_the_application_sets_its_own(
    backends: list[Backend], loop: str, tmp_path: Path
) -> None:
    fields = {"mode": "ApplicationBased", "appCookieName": "sid"}
    with sticky(backends, tmp_path, loop, **fields) as gateway, browser() as client:
        assert len({client.get(gateway.http("/")).text for _ in range(3)}) == 3
        home = client.get(gateway.http("/login")).text
        assert {client.get(gateway.http("/")).text for _ in range(4)} == {home}


def test_the_applications_cookie_chooses_the_server(
    backends: list[Backend], loop: str, tmp_path: Path
) -> None:
    fields = {"mode": "CookieConsistentHash", "appCookieName": "sid"}
    with sticky(backends, tmp_path, loop, **fields) as gateway, browser() as client:
        client.cookies["sid"] = "7"
        (home,) = {client.get(gateway.http("/")).text for _ in range(4)}
        assert "EG_SESSION" not in client.cookies
        assert socket_greeting(gateway, "sid=7") == home
