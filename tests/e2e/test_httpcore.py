"""httpcore, somebody else's HTTP/1.1 client, against the HTTPServer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpcore
import pytest

from easews import Context, Filter, Response
from easews.testing import Running, gateway

CONFIG = """
kind: HTTPServer
name: server
port: 80
clientMaxBodySize: 1KiB
rules: [{paths: [{path: /echo, methods: [GET, POST], backend: echoes}]}]
---
kind: Pipeline
name: echoes
filters: [{kind: Echo, name: echo}]
"""


class Echo(Filter):
    """Sends the body back, in pieces when it is told to."""

    kind = "Echo"

    async def handle(self, ctx: Context) -> None:
        body = b"".join([piece async for piece in ctx.request.body])

        async def pieces() -> AsyncIterator[bytes]:
            for byte in body:
                yield bytes([byte])

        if ctx.request.query == "pieces":
            ctx.response = Response(200, body=pieces())
        else:
            ctx.response = Response(200, content=body)


async def ask(pool: Any, running: Running, target: str, **request: Any) -> Any:
    method = "POST" if "content" in request else "GET"
    return await pool.request(method, f"http://{running.address}{target}", **request)


async def _in_pieces() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


@pytest.mark.parametrize("target", ["/echo", "/echo?pieces"])
async def test_bodies_of_every_framing_come_back_on_one_connection(target: str) -> None:
    async with gateway(CONFIG, Echo) as running, httpcore.AsyncConnectionPool() as pool:
        for content, echo in ((b"", b""), (b"hello", b"hello"), (_in_pieces(), b"one two")):
            answer = await ask(pool, running, target, content=content)
            assert (answer.status, answer.content) == (200, echo)
        assert len(pool.connections) == 1


@pytest.mark.parametrize(
    ("target", "request_", "status"),
    [("/nowhere", {}, 404), ("/echo", {"content": bytes(2000)}, 413)],
)
async def test_refusals_are_answers_as_any_other(
    target: str, request_: dict[str, Any], status: int
) -> None:
    async with gateway(CONFIG, Echo) as running, httpcore.AsyncConnectionPool() as pool:
        assert (await ask(pool, running, target, **request_)).status == status
        assert (await ask(pool, running, "/echo")).status == 200
