"""A gateway with a Proxy in front of servers whose every byte is the test's."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.tlspeers import TlsEnd, authority, server_context

from easews import Filter
from easews.net.tlshandshake import handshake
from easews.net.waiting import receive, send_all
from easews.testing import Running, gateway
from easews.upstream import KeptConnections
from easews.upstream import Server as UpstreamServer
from easews.upstream.servers import standing_of

#: Far more than anything here takes; only to end a test that would hang.
PATIENCE = 30

CONFIG = """
kind: Pipeline
name: pipeline
{flow}
filters:
{before}
- kind: Proxy
  name: proxy
  {fields}
  pools:
  - servers: [{servers}]
    {pool}
---
kind: HTTPServer
name: server
port: 80
{server}
rules: [{{paths: [{{pathPrefix: /, backend: pipeline{path}}}]}}]
"""


class Link:
    """One far end of a TCP connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        with anyio.fail_after(PATIENCE):
            while data:
                await anyio.wait_writable(self.sock)
                data = data[self.sock.send(data) :]

    async def receive(self) -> bytes:
        """What is there; b"" at the end of the stream."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        with anyio.fail_after(PATIENCE):
            await anyio.wait_readable(self.sock)
            return self.sock.recv(65536)

    async def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = await self.receive()
            assert piece, f"the stream ended after {data!r}"
            data += piece
        data, self._buffer = data[:size], data[size:]
        return data

    async def until(self, end: bytes) -> bytes:
        """All up to `end`, which has to come."""
        data = b""
        while end not in data:
            piece = await self.receive()
            assert piece, f"the stream ended after {data!r}"
            data += piece
        data, _, self._buffer = data.partition(end)
        return data + end

    async def head(self) -> bytes:
        return await self.until(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """All up to the end of the stream."""
        data = b""
        while piece := await self.receive():
            data += piece
        return data

    async def ends(self) -> None:
        """Nothing more may come but the end of the stream, or a reset."""
        with suppress(ConnectionResetError):
            assert await self.receive() == b""

    def close(self) -> None:
        self.sock.close()


class SecureLink(Link):
    """The same over TLS."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.tls = TlsEnd(sock, server_context())

    async def shake_hands(self) -> None:
        await handshake(self.tls, PATIENCE)

    async def send(self, data: bytes) -> None:
        await send_all(self.tls, data, PATIENCE)

    async def receive(self) -> bytes:
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        await checkpoint()
        return await receive(self.tls, PATIENCE)

    def close(self) -> None:
        self.tls.close()


class Server:
    """A listening socket; `accept` gives the next connection of the gateway to it."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.port: int = self.listening.getsockname()[1]
        self.links: list[Link] = []

    async def accept(self) -> Link:
        with anyio.fail_after(PATIENCE):
            await anyio.wait_readable(self.listening)
        self.links.append(Link(self.listening.accept()[0]))
        return self.links[-1]

    async def accept_secure(self) -> SecureLink:
        """The same, over TLS."""
        with anyio.fail_after(PATIENCE):
            await anyio.wait_readable(self.listening)
        link = SecureLink(self.listening.accept()[0])
        self.links.append(link)
        await link.shake_hands()
        return link

    def connections(self) -> int:
        """How many there are that nobody has accepted. They are closed."""
        count = 0
        with suppress(BlockingIOError):
            while True:
                self.listening.accept()[0].close()
                count += 1
        return count

    def close(self) -> None:
        self.listening.close()
        for link in self.links:
            link.close()


class Stage:
    """The gateway that runs, its config, its servers, and clients that connect to it."""

    def __init__(
        self, running: Running, config: str, servers: list[Server], clients: list[Link]
    ) -> None:
        self.running = running
        self.config = config
        self.servers = servers
        self.server = servers[0]
        self.clients = clients

    def connect(self) -> Link:
        address = self.running.address
        self.clients.append(Link(socket.create_connection((address.host, address.port))))
        return self.clients[-1]

    async def ask(self, request: bytes) -> Link:
        client = self.connect()
        await client.send(request)
        return client

    @property
    def kept(self) -> KeptConnections:
        return self.running.gateway.services[KeptConnections]

    async def settled(self) -> None:
        """Until nothing moves any more."""
        await anyio.wait_all_tasks_blocked()


Staging = Callable[..., AbstractAsyncContextManager[Stage]]


@asynccontextmanager
async def _staging(
    *filters: type[Filter],
    servers: int = 1,
    fields: str = "",
    pool: str = "",
    server: str = "",
    flow: str = "",
    path: str = "",
    entry: str = "",
    name: str = "",
    tls: bool = False,
) -> AsyncIterator[Stage]:
    """With `tls` the servers speak it, and are asked as `localhost`."""
    listening = [Server() for _ in range(servers)]
    scheme = "https" if tls else "http"
    if tls:
        name = "localhost"
        pool += f"\n    tls: {{caBase64: {b64encode(authority().cert_pem.bytes()).decode()}}}"
    where = [f"{name}:{one.port}/base/" if name else f"127.0.0.1:{one.port}" for one in listening]
    urls = [f"{{url: '{scheme}://{at}'{entry}}}" for at in where]
    before = "\n".join(f"- {{kind: {one.kind}, name: {one.kind.lower()}}}" for one in filters)
    config = CONFIG.format(
        servers=", ".join(urls),
        before=before,
        fields=fields,
        pool=pool,
        server=server,
        flow=flow,
        path=path,
    )
    clients: list[Link] = []
    standings = [standing_of(UpstreamServer.at(f"http://{at}")) for at in where]
    try:
        async with gateway(config, *filters) as running:
            try:
                yield Stage(running, config, listening, clients)
            finally:  # a client that stays keeps its lingering connection open
                for client in clients:
                    client.close()
        assert not any(standing.active for standing in standings), "an attempt is never over"
    finally:
        for one in listening:
            one.close()


@pytest.fixture
def staging() -> Staging:
    """`async with staging() as stage`: a gateway that runs while the block does."""
    return _staging
