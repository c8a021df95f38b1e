"""Sticky sessions with real clients: httpx and curl keep cookies, and a WebSocket sends them."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import httpx
import pytest
from anyio import to_thread
from tests.certificates import Authority
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
from tests.nameserver import nameserver
from tests.tlsservers import server_context
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from easews.testing import gateway as serving

SECRET = "correct horse battery staple"


class Backend:
    """Says its name, as a page and as a message. `/login` sets a cookie of its own."""

    def __init__(
        self,
        name: str,
        port: int = 0,
        *,
        host: str = LOOPBACK,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self._server: Server = serve(self._greet, host, port, process_request=self._page, ssl=tls)
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
    text = text_for([one.url for one in backends], fields)
    with running(text, folder, "--backend", loop) as gateway:
        yield gateway


def text_for(
    urls: list[str], sticky: Mapping[str, Any], policy: str = "roundRobin", **pool: Any
) -> str:
    balance = {"policy": policy, "stickySession": {"mode": "DurationBased", **sticky}}
    pools = [{"servers": [{"url": url} for url in urls], "loadBalance": balance, **pool}]
    filters: list[FilterEntry] = [
        {"kind": "WebSocketProxy", "name": "sockets", "pools": pools},
        {"kind": "Proxy", "name": "pages", "pools": pools},
    ]
    jump = {"filter": "sockets", "jumpIf": {"notWebSocket": "pages"}}
    flow: list[FilterEntry] = [jump, {"filter": "pages"}]
    return config(free_port(), Route("/", filters, flow, {"clientMaxBodySize": -1}))


def settled_home(client: httpx.Client, port: int) -> str:
    """The same, once each of the two pools has looked the name up."""
    began = monotonic()
    while True:
        try:
            return home_of(client, port)
        except ValueError:
            assert monotonic() < began + PATIENCE, "its pages and sockets have different servers"


def browser() -> httpx.Client:
    return httpx.Client(trust_env=False)


def socket_greeting(port: int, cookie: str) -> str:
    url = f"ws://{LOOPBACK}:{port}/"
    with connect(url, additional_headers={"Cookie": cookie}) as ws:
        return str(ws.recv(PATIENCE))


def home_of(client: httpx.Client, port: int) -> str:
    """The one server that all pages and sockets of this client lead to."""
    pages = {client.get(f"http://{LOOPBACK}:{port}/").text for _ in range(4)}
    cookie = f"theme=dark; EG_SESSION={client.cookies['EG_SESSION']}"
    (home,) = pages | {socket_greeting(port, cookie) for _ in range(4)}
    return home


def test_each_browser_stays_at_its_server_with_pages_and_sockets(
    backends: list[Backend], loop: str, tmp_path: Path
) -> None:
    with sticky(backends, tmp_path, loop) as gateway:
        homes = set()
        for _ in backends:
            with browser() as client:
                homes.add(home_of(client, gateway.port))
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
            assert socket_greeting(gateway.port, f"EG_SESSION={before}") == home


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
        assert socket_greeting(gateway.port, "sid=7") == home


def test_each_browser_stays_at_its_server_over_tls(loop: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with ExitStack() as stack:
        urls = []
        for name in ("one", "two"):
            context = server_context(authority.ca, "localhost")
            backend = stack.enter_context(_closing(Backend(name, tls=context)))
            urls.append(f"wss://localhost:{backend.port}")
        text = text_for(urls, {}, tls={"caFile": authority.file.name})
        gateway = stack.enter_context(running(text, tmp_path, "--backend", loop))
        homes = set()
        for _ in range(2):
            with browser() as client:
                homes.add(home_of(client, gateway.port))
        assert homes == {"one", "two"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has 127.0.0.2")
def test_clients_stay_at_their_addresses_while_others_come_and_go(
    loop: str, tmp_path: Path
) -> None:
    port, hosts = free_port(), ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    with ExitStack() as stack:
        dns = stack.enter_context(nameserver())
        dns.ttl = 0
        dns.records["app.test", "A"] = hosts[:2]
        for host in hosts:
            stack.enter_context(_closing(Backend(host, port, host=host)))
        resolve = {"mode": "each", "nameservers": [dns.address], "minTtl": "50ms"}
        text = text_for([f"http://app.test:{port}"], {}, resolve=resolve)
        gateway = stack.enter_context(running(text, tmp_path, "--backend", loop))
        clients = {}
        for _ in range(2):
            client = stack.enter_context(browser())
            clients[home_of(client, gateway.port)] = client
        dns.records["app.test", "A"] = hosts[1:]
        gateway.log.wait_for("app.test: new 127.0.0.3; gone 127.0.0.1")
        assert home_of(clients["127.0.0.2"], gateway.port) == "127.0.0.2"
        assert settled_home(clients["127.0.0.1"], gateway.port) in hosts[1:]
        dns.records["app.test", "A"] = hosts[:2]
        gateway.log.wait_for("app.test: new 127.0.0.1; gone 127.0.0.3")
        assert home_of(clients["127.0.0.2"], gateway.port) == "127.0.0.2"


async def test_clients_stay_at_their_servers_when_the_config_is_replaced(
    backends: list[Backend],
) -> None:
    urls = [one.url for one in backends]
    with _closing(Backend("four")) as fourth, ExitStack() as stack:
        clients: dict[str, httpx.Client] = {}
        async with serving(text_for(urls, {})) as running:
            port = running.address.port
            for _ in urls:
                client = stack.enter_context(browser())
                clients[await to_thread.run_sync(home_of, client, port)] = client
            assert clients.keys() == {"one", "two", "three"}
            more = [fourth.url, *reversed(urls)]
            for text in (
                text_for(more, {}, "leastConnections", maxConnections=100),
                text_for(more, {"sameSite": "Strict"}, "random"),
            ):
                plan = await running.replace(text)
                assert plan.started == {("root", "sockets"), ("root", "pages")}
                for home, client in clients.items():
                    assert await to_thread.run_sync(home_of, client, port) == home
            await running.replace(text_for(urls[1:], {}))
            moved = await to_thread.run_sync(home_of, clients["one"], port)
            assert moved in ("two", "three")
            assert await to_thread.run_sync(home_of, clients["two"], port) == "two"
