"""Connections that are kept: which request gets one, and what happens when it has gone stale."""

from __future__ import annotations

import anyio
import pytest
from tests.httpproxy.conftest import Link, Stage, Staging

from easews import Headers
from easews.net.proxyprotocol import proxy_header
from easews.upstream import (
    Attempt,
    Client,
    KeepLimits,
    KeptConnections,
    Onward,
    Server,
    Timeouts,
    Via,
)
from easews.upstream.health.availability import Availability
from easews.upstream.servers import Member, Standing

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def warm(stage: Stage) -> tuple[Link, Link]:
    """A client and a connection to the server that have served a request."""
    client = await stage.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    link = await stage.server.accept()
    await link.head()
    await link.send(OK)
    await client.head()
    return client, link


async def test_clients_use_connections_one_after_the_other(staging: Staging) -> None:
    async with staging() as stage:
        client, link = await warm(stage)
        assert len(stage.kept) == 1
        other = await stage.ask(b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await link.head()).startswith(b"GET /other ")
        await client.send(b"GET /more HTTP/1.1\r\nHost: x\r\n\r\n")
        more = await stage.server.accept()  # the first one is in use
        assert (await more.head()).startswith(b"GET /more ")
        for at in (link, more):
            await at.send(OK)
        await client.head()
        await other.head()
        assert len(stage.kept) == 2


async def test_a_connection_that_its_server_has_closed_is_not_used(staging: Staging) -> None:
    async with staging() as stage:
        client, link = await warm(stage)
        link.close()
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        fresh = await stage.server.accept()
        await fresh.head()
        await fresh.send(OK)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_connection_on_which_its_server_spoke_unasked_is_not_used(staging: Staging) -> None:
    async with staging() as stage:
        client, link = await warm(stage)
        await link.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        fresh = await stage.server.accept()
        await fresh.head()
        await fresh.send(OK)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("request_", "again"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"PATCH / HTTP/1.1\r\nHost: x\r\n\r\n", False),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", False),
    ],
)
async def test_a_server_that_closes_in_the_moment_of_reuse_is_asked_again_if_that_is_safe(
    staging: Staging, request_: bytes, again: bool
) -> None:
    async with staging() as stage:
        client, link = await warm(stage)
        await client.send(request_)
        await link.head()
        link.close()
        if again:
            fresh = await stage.server.accept()
            assert (await fresh.head()).startswith(request_[:5])
            await fresh.send(OK)
        status = b"200" if again else b"502"
        assert (await client.head()).startswith(b"HTTP/1.1 " + status)


async def test_a_new_connection_that_is_closed_leads_to_the_next_server(staging: Staging) -> None:
    async with staging(servers=2) as stage:
        client = await stage.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        link = await stage.servers[0].accept()
        await link.head()
        link.close()
        other = await stage.servers[1].accept()
        await other.head()
        await other.send(OK)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more",
        b"HTTP/1.1 204 No\r\n\r\nand more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nand more",
    ],
)
async def test_a_connection_that_is_not_in_order_is_closed(staging: Staging, answer: bytes) -> None:
    async with staging() as stage:
        client = await stage.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        link = await stage.server.accept()
        await link.head()
        await link.send(answer)
        await client.head()
        await link.ends()
        assert len(stage.kept) == 0


async def test_only_so_many_are_kept(staging: Staging) -> None:
    async with staging(fields="maxIdleConnsPerHost: 1") as stage:
        clients, links = [], []
        for _ in range(3):
            clients.append(await stage.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
            links.append(await stage.server.accept())
            await links[-1].head()
        for client, link in zip(clients, links, strict=True):
            await link.send(OK)
            await client.head()
        assert len(stage.kept) == 1
        await links[0].ends()


async def test_what_is_kept_is_closed_with_the_gateway(staging: Staging) -> None:
    async with staging() as stage:
        _, link = await warm(stage)
        far = Link(link.sock.dup())  # the stage closes its own ends
    await far.ends()
    far.close()


async def test_a_connection_that_its_server_will_close_soon_is_not_kept(staging: Staging) -> None:
    async with staging() as stage:
        await stage.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        link = await stage.server.accept()
        await link.head()
        await link.send(OK[:-2] + b"Keep-Alive: timeout=1\r\n\r\n")
        await link.ends()


async def test_a_connection_that_was_announced_as_a_clients_is_not_kept(staging: Staging) -> None:
    async with staging(pool="proxyProtocol: v1") as stage:
        client = await stage.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(2):
            host, port = client.sock.getsockname()
            link = await stage.server.accept()
            line = await link.until(b"\r\n")
            address = stage.running.address
            assert line == f"PROXY TCP4 {host} {address.host} {port} {address.port}\r\n".encode()
            assert b"\r\nConnection: close\r\n" in await link.head()
            await link.send(OK)
            await client.head()
            await link.ends()
            await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not stage.kept


async def test_a_pool_that_announces_takes_no_connection_that_another_has_kept(
    staging: Staging,
) -> None:
    async with staging() as stage:
        client, link = await warm(stage)
        assert len(stage.kept) == 1
        (keeping,) = stage.running.gateway.services[KeptConnections]._shelf._kept
        assert isinstance(keeping, Standing)
        server = Server.at(f"http://127.0.0.1:{stage.server.port}/base/", via=Via(announces="v2"))
        request = Onward("GET", "/", Headers([("Host", "x")]))
        attempt = Attempt(Member(server, keeping, 1), Availability())

        async def ask() -> None:
            client = Client(Timeouts(), KeepLimits())
            (await client.ask(stage.kept, attempt, request)).finish()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            fresh = await stage.server.accept()
            header = proxy_header("v2")
            assert await fresh.exactly(len(header)) == header
            await fresh.head()
            await fresh.send(OK)
        assert len(stage.kept) == 1
        client.close()
        link.close()
