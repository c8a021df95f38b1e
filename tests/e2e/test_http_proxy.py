"""Plain HTTP through easews: somebody else's servers behind it, and their clients in front."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

import aiohttp
import httpx
import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, Route, config, free_port, running
from tests.e2e.http_servers import BYTES
from tests.e2e.test_curl import ask

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """A server's URL while it runs; its command gets the port as the last argument."""
    port = free_port()
    process = subprocess.Popen([*command, str(port)], cwd=ROOT)
    try:
        until = monotonic() + PATIENCE
        while not _listens(port):
            assert process.poll() is None, "the server has ended"
            assert monotonic() < until, "the server does not listen"
            sleep(0.05)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        process.kill()
        process.wait(PATIENCE)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.fixture(scope="module", params=["uvicorn", "aiohttp", "node"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    name: str = request.param
    if name == "node":
        command = [request.getfixturevalue("node"), str(ROOT / "tests/e2e/node/http-server.js")]
    else:
        command = [sys.executable, "-m", "tests.e2e.http_servers", name]
    with serving(*command) as url:
        yield url


@pytest.fixture(scope="module")
def gateway(loop: str, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    entry = {"kind": "Proxy", "name": "proxy", "pools": [{"servers": [{"url": server}]}]}
    text = config(free_port(), Route("/", [entry]))
    with running(text, tmp_path_factory.mktemp("gateway"), "--backend", loop) as gateway:
        yield gateway


def summary(body: bytes) -> str:
    return f"{len(body)} {sha256(body).hexdigest()}"


def test_curl_gets_a_page_its_head_and_a_body_in_chunks(curl: str, gateway: Gateway) -> None:
    head, body = ask(curl, gateway.http("/hello"))
    assert (head.status, head["Content-Length"], body) == (200, "5", "hello")
    head, body = ask(curl, gateway.http("/hello"), "--head")
    assert (head.status, head["Content-Length"], body) == (200, "5", "")


@pytest.mark.parametrize("framing", ["Expect: 100-continue", "Transfer-Encoding: chunked", "X: y"])
def test_curl_sends_a_body(curl: str, gateway: Gateway, tmp_path: Path, framing: str) -> None:
    file = tmp_path / "body"
    file.write_bytes(BYTES)
    options = ("--data-binary", f"@{file}", "--header", framing)
    head, body = ask(curl, gateway.http("/sum"), *options)
    assert (head.status, body) == (200, summary(BYTES))


def test_httpx_uses_one_connection_for_everything(gateway: Gateway) -> None:
    with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        for _ in range(3):
            assert client.get(gateway.http("/hello")).text == "hello"
            assert client.get(gateway.http("/bytes")).content == BYTES
            assert client.post(gateway.http("/sum"), content=BYTES).text == summary(BYTES)
            pieces = iter([BYTES[:10], BYTES[10:]])
            assert client.post(gateway.http("/sum"), content=pieces).text == summary(BYTES)


def test_an_event_arrives_before_the_next_is_sent(gateway: Gateway) -> None:
    with (
        httpx.Client(timeout=PATIENCE, trust_env=False) as client,
        client.stream("GET", gateway.http("/events")) as response,
    ):
        lines = response.iter_lines()
        assert next(lines) == "data: one"
        httpx.get(gateway.http("/go"), trust_env=False)
        assert [line for line in lines if line] == ["data: two"]


def test_aiohttp_hears_of_an_early_refusal(gateway: Gateway) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1000)
            await asyncio.sleep(0.01)

    async def upload() -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(gateway.http("/early"), data=endless()) as response,
        ):
            return response.status, await response.text()

    assert asyncio.run(asyncio.wait_for(upload(), PATIENCE)) == (413, "too large")
