"""A new config replaces the served one: what becomes of the sessions of the older one, and what
the newer one knows of them. With real sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from anyio.streams.stapled import MultiListener
from tests.waiting import until

from easews.testing import Running, gateway
from easews_wsproxy.handshake.rules import accept_for
from easews_wsproxy.proxy import WebSocketProxy

PATIENCE = 30
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
OFFER = (
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
)
CONFIG = """
kind: Pipeline
name: pipeline
filters:
- kind: WebSocketProxy
  name: proxy
  pools:
  - servers: [{servers}]
    timeouts: {{close: 300ms}}
    {pool}
---
kind: HTTPServer
name: server
port: 80
rules: [{{paths: [{{pathPrefix: /, clientMaxBodySize: -1, backend: pipeline}}]}}]
"""
REBALANCE = "rebalance: {perMinute: 60000}"


def config(urls: list[str], pool: str = "") -> str:
    return CONFIG.format(servers=", ".join(f"{{url: '{url}'}}" for url in urls), pool=pool)


async def head_of(stream: SocketStream) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += await stream.receive()
    return head


async def serve(stream: SocketStream) -> None:
    """Accept a session; its first frame, which is a Close, ends it."""
    async with stream:
        key = (await head_of(stream)).partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        await stream.send(
            b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: " + accept_for(key.decode()).encode() + b"\r\n\r\n"
        )
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            await stream.receive()


async def listen(listener: MultiListener[SocketStream]) -> None:
    async with listener:
        await listener.serve(serve)


@asynccontextmanager
async def backends(count: int) -> AsyncIterator[list[str]]:
    """The URLs of so many servers that run."""
    tasks: TaskGroup
    async with anyio.create_task_group() as tasks:
        urls = []
        for _ in range(count):
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            tasks.start_soon(listen, listener)
            port = listener.extra_attributes[SocketAttribute.local_port]()
            urls.append(f"ws://127.0.0.1:{port}")
        yield urls
        tasks.cancel_scope.cancel()


async def connect(running: Running) -> SocketStream:
    stream = await anyio.connect_tcp(*running.address)
    await stream.send(OFFER.encode())
    assert (await head_of(stream)).startswith(b"HTTP/1.1 101 ")
    return stream


async def stay(running: Running, stream: SocketStream, closes: list[int]) -> None:
    """Be a client that opens a new session after a Close."""
    while True:
        async with stream:
            frame = await stream.receive()
            assert frame[0] == 0x88
            closes.append(int.from_bytes(frame[2:4]))
        stream = await connect(running)


def spread(running: Running, urls: list[str]) -> list[int]:
    return [running.sessions.count(url) for url in urls]


async def test_a_server_that_a_new_config_adds_gets_its_share_of_the_sessions() -> None:
    clients: TaskGroup
    closes: list[int] = []
    async with (
        backends(4) as urls,
        gateway(config(urls[:3], REBALANCE), WebSocketProxy) as running,
        anyio.create_task_group() as clients,
    ):
        for _ in range(30):
            clients.start_soon(stay, running, await connect(running), closes)
        await until(lambda: spread(running, urls) == [10, 10, 10, 0])
        await running.replace(config(urls, REBALANCE), WebSocketProxy)
        await until(lambda: spread(running, urls) == [8, 8, 8, 6])
        clients.cancel_scope.cancel()
    assert closes == [1012] * 6


async def test_the_sessions_of_an_older_config_count_in_the_newer_one() -> None:
    async with backends(2) as urls, gateway(config(urls[:1]), WebSocketProxy) as running:
        clients = [await connect(running) for _ in range(3)]
        await running.replace(config(urls), WebSocketProxy)
        clients += [await connect(running) for _ in range(3)]
        await until(lambda: spread(running, urls) == [3, 3])
        await clients[0].aclose()
        await until(lambda: spread(running, urls) == [2, 3])
        clients.append(await connect(running))
        await until(lambda: spread(running, urls) == [3, 3])
        for client in clients:
            await client.aclose()
