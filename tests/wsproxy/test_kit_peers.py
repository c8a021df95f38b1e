"""The kit's peers on both sides of a real gateway, by the fixtures that it brings for pytest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from easews import Context, Filter, Response
from easews.testing import RealBackend, Running, SocketPeer

CONFIG = """
kind: HTTPServer
name: server
port: 8080
rules: [{{paths: [{{pathPrefix: /, backend: sessions, clientMaxBodySize: -1}}]}}]
---
kind: Pipeline
name: sessions
filters:
- {{kind: Guard, name: guard}}
- kind: WebSocketProxy
  name: proxy
  pools: [{{servers: [{{url: "{url}"}}]}}]
"""

Proxy = Callable[..., Awaitable[Running]]
Backend = Callable[..., Awaitable[RealBackend]]
Client = Callable[..., Awaitable[SocketPeer]]
Talk = Callable[..., Awaitable[tuple[SocketPeer, SocketPeer]]]


class Guard(Filter):
    """Refuses what is asked for /refused."""

    kind = "Guard"

    async def handle(self, ctx: Context) -> None:
        if ctx.request.path == "/refused":
            ctx.response = Response(403)


@pytest.fixture
def talk(easews_proxy: Proxy, easews_backend: Backend, easews_client: Client) -> Talk:
    async def start(**backend: Any) -> tuple[SocketPeer, SocketPeer]:
        server = await easews_backend(**backend)
        proxy = await easews_proxy(CONFIG.format(url=server.url), Guard)
        client = await easews_client(proxy.address, deflate=backend.get("deflate", False))
        return client, await server.accepts()

    return start


@pytest.mark.parametrize("deflate", [False, True])
async def test_a_conversation_through_the_gateway(talk: Talk, deflate: bool) -> None:
    client, backend = await talk(deflate=deflate)
    assert client.deflates == backend.deflates == deflate
    await client.sends("hi")
    await client.sends_fragments("fr", "ag", "ments")
    await client.sends_slowly("slow", 3, 0.001)
    await backend.receives("hi", "fragments", "slow")
    await backend.sends(b"ok")
    await client.receives(b"ok")
    await client.receives_nothing()
    await backend.closes(4000, "enough")
    await client.is_closed_with(4000, "enough")


async def test_a_client_that_vanishes_is_reported_to_the_backend(talk: Talk) -> None:
    client, backend = await talk()
    await client.vanishes()
    await backend.is_closed_with(1001)


async def test_behind_half_a_frame_no_close_can_be_sent(talk: Talk) -> None:
    client, backend = await talk()
    await client.resets_inside("x" * 100)
    await backend.is_closed_with(1006)


async def test_a_slow_backend_gets_everything_in_the_end(talk: Talk) -> None:
    client, backend = await talk(receive_buffer=4096)
    backend.stops_reading()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.sends, *["x" * 100_000] * 100)
        backend.reads_again()
    await backend.receives(*["x" * 100_000] * 100)


@pytest.mark.parametrize(("fault", "status"), [({"refuses": True}, 502), ({"status": 503}, 503)])
async def test_a_backend_that_refuses(
    easews_proxy: Proxy,
    easews_backend: Backend,
    easews_client: Client,
    fault: dict[str, Any],
    status: int,
) -> None:
    server = await easews_backend(**fault)
    proxy = await easews_proxy(CONFIG.format(url=server.url), Guard)
    assert (await easews_client(proxy.address)).status == status
    refused = await easews_client(proxy.address, "/refused")
    assert (refused.status, proxy.sessions.count(server.url)) == (403, 0)


async def test_they_may_be_started_inside_of_a_task_group(talk: Talk) -> None:
    async with anyio.create_task_group():
        client, backend = await talk()
    await client.sends("still there")
    await backend.receives("still there")


def test_the_plugin_costs_nothing_where_nobody_uses_it() -> None:
    code = (
        "import pytest_easews, sys; print(sorted({'easews', 'anyio', 'trio'} & set(sys.modules)))"
    )
    program = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (program.stdout, program.stderr) == ("[]\n", "")
