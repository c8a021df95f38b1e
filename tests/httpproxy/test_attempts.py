"""However requests end, their servers have nothing more to do for them afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from easews.testing import Running, gateway
from easews.upstream import Pool, Server
from easews.upstream.servers import Standing

PATIENCE = 60
REQUESTS = 400
AT_A_TIME = 16
MOST = 2  # for each server at a time
PAGE = bytes(1 << 20)

CONFIG = """
kind: Pipeline
name: pipeline
filters:
- kind: Proxy
  name: proxy
  pools:
  - servers: [{servers}]
    maxConnections: {most}
    queue: {{size: 8, timeout: 10ms}}
    ejection: {{failures: 0}}
    retries: {{attempts: 2, perTry: 60ms, deadline: 90ms, on: [connect, timeout, 503]}}
---
kind: HTTPServer
name: server
port: 80
rules: [{{paths: [{{pathPrefix: /, backend: pipeline}}]}}]
"""


async def answers(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


async def answers_with_a_page(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE))


async def answers_in_chunks(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")


async def is_busy(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")


async def breaks_off(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
    await stream.aclose()


async def leaves(stream: SocketStream) -> None:
    await stream.aclose()


async def talks_nonsense(stream: SocketStream) -> None:
    await stream.send(b"nonsense\r\n\r\n")


async def stays_silent(stream: SocketStream) -> None:
    await stream.receive()


SERVER_DOES: dict[str, Callable[[SocketStream], Awaitable[None]]] = {
    act.__name__: act
    for act in (
        answers,
        answers_with_a_page,
        answers_in_chunks,
        is_busy,
        breaks_off,
        leaves,
        talks_nonsense,
        stays_silent,
    )
}


async def serve(stream: SocketStream) -> None:
    """Do what each request asks for in its path."""
    async with stream:
        received = b""
        try:
            while True:
                while b"\r\n\r\n" not in received:
                    received += await stream.receive()
                head, _, received = received.partition(b"\r\n\r\n")
                size = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0] or 0)
                while len(received) < size:
                    received += await stream.receive()
                received = received[size:]
                await SERVER_DOES[head.split()[1][1:].decode()](stream)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the gateway has left


def request(path: str, body: int = 0) -> bytes:
    method = "POST" if body else "GET"
    fields = f"Host: x\r\nConnection: close\r\nContent-Length: {body}"
    return f"{method} /{path} HTTP/1.1\r\n{fields}\r\n\r\n".encode()


async def rest(stream: SocketStream) -> bytes:
    received = b""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            received += await stream.receive()
    return received


async def reads_it_all(stream: SocketStream, path: str) -> bytes:
    await stream.send(request(path))
    return await rest(stream)


async def uploads(stream: SocketStream, path: str) -> bytes:
    await stream.send(request(path, 100_000) + bytes(50_000))
    await stream.send(bytes(50_000))
    return await rest(stream)


async def leaves_within_its_upload(stream: SocketStream, path: str) -> bytes:
    await stream.send(request(path, 100_000) + bytes(50_000))
    return b""


async def leaves_at_once(stream: SocketStream, path: str) -> bytes:
    await stream.send(request(path))
    return b""


async def leaves_within_the_answer(stream: SocketStream, path: str) -> bytes:
    await stream.send(request(path))
    return await stream.receive(20)


CLIENTS = (
    reads_it_all,
    reads_it_all,
    uploads,
    leaves_within_its_upload,
    leaves_at_once,
    leaves_within_the_answer,
)


class Watched:
    """What the servers have to do, as this process counts it."""

    def __init__(self, urls: list[str]) -> None:
        self.pool = Pool(map(Server.at, urls))
        self.most = 0
        self._changed = anyio.Event()
        for standing in self.active:
            standing.follow(self)

    @property
    def active(self) -> list[Standing]:
        return list(self.pool.standings.values())

    def moved(self, standing: Standing, by: int) -> None:
        self.most = max(self.most, standing.active)
        self._changed.set()

    async def until_idle(self) -> None:
        while any(standing.active for standing in self.active):
            self._changed = anyio.Event()
            await self._changed.wait()


async def some_requests(running: Running, random: Random, statuses: Counter[bytes]) -> None:
    for _ in range(REQUESTS // AT_A_TIME):
        client, path = random.choice(CLIENTS), random.choice([*SERVER_DOES])
        async with await anyio.connect_tcp(*running.address) as stream:
            with suppress(anyio.BrokenResourceError):  # it is answered before all is sent
                answer = await client(stream, path)
                statuses[answer[9:12]] += 1


async def status_alone(running: Running, path: str) -> bytes:
    async with await anyio.connect_tcp(*running.address) as stream:
        return (await reads_it_all(stream, path))[9:12]


async def test_no_server_stays_busy_however_requests_end(caplog: pytest.LogCaptureFixture) -> None:
    random, statuses = Random(12), Counter[bytes]()
    listeners = [
        listener
        for _ in range(3)
        for listener in (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners
    ]
    ports = [listener.extra(SocketAttribute.local_port) for listener in listeners]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    config = CONFIG.format(servers=", ".join(f"{{url: '{url}'}}" for url in urls), most=MOST)
    watched = Watched(urls)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as servers, gateway(config) as running:
            for listener in listeners:
                servers.start_soon(listener.serve, serve)
            async with anyio.create_task_group() as clients:
                for _ in range(AT_A_TIME):
                    clients.start_soon(some_requests, running, random, statuses)
            assert watched.most == MOST
            await watched.until_idle()
            for path, status in (("is_busy", b"503"), ("answers", b"200")):
                while await status_alone(running, path) != status:
                    pass  # it took longer than perTry
            await watched.until_idle()
            servers.cancel_scope.cancel()
    for listener in listeners:
        await listener.aclose()
    assert {b"200", b"502", b"503", b"504"} <= statuses.keys()
    for event in ("; asking", "every server of the pool is full"):
        assert event in caplog.text
    assert not any(standing.active for standing in watched.active)
