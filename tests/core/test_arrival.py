"""What stands in front of HTTP: the header of the PROXY protocol, over real sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import anyio
import pytest
from anyio.abc import SocketStream
from tests.streams import PATIENCE, rest

from easews import Context, Filter, Response
from easews.testing import Running, gateway

GET = b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
LINE = b"PROXY TCP4 203.0.113.5 192.0.2.1 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ENDS = b"".join(ip_address(ip).packed for ip in ("203.0.113.5", "192.0.2.1"))
BINARY = SIGNATURE + b"\x21\x11\0\x0c" + ENDS + (56324).to_bytes(2) + (443).to_bytes(2)
LOCAL = SIGNATURE + b"\x20\0\0\0"


class Tells(Filter):
    """Answers with who the client is."""

    kind = "Tells"

    async def handle(self, ctx: Context) -> None:
        request = ctx.request
        told = {
            "peer": request.peer.host,
            "client": str(request.client),
            "local": str(request.local),
            "said": request.headers.get("x-forwarded-for"),
        }
        ctx.response = Response(200, content=json.dumps(told))


@asynccontextmanager
async def serving(
    trusted: str = "127.0.0.1", header_timeout: str = "10s", proxy: str = "true", more: str = ""
) -> AsyncIterator[Running]:
    config = f"""
kind: HTTPServer
name: server
port: 80
proxyProtocol: {proxy}
trustedProxies: [{trusted}]
clientAddressFrom: x-forwarded-for
headerTimeout: {header_timeout}
{more}
rules:
- paths:
  - backend: tells
---
kind: Pipeline
name: tells
filters:
- {{kind: Tells, name: tells}}
"""
    async with gateway(config, Tells) as running:
        yield running


async def ask(running: Running, *pieces: bytes) -> dict[str, str]:
    """What the filter tells for these bytes, each piece of which arrives by itself."""
    async with await anyio.connect_tcp(*running.address) as stream:
        for piece in pieces:
            await stream.send(piece)
            await anyio.wait_all_tasks_blocked()
        head, _, body = (await rest(stream)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        told: dict[str, str] = json.loads(body)
        return told


@pytest.mark.parametrize("header", [LINE, BINARY], ids=["v1", "v2"])
async def test_the_client_is_the_one_that_the_proxy_announces(header: bytes) -> None:
    async with serving() as running:
        told = await ask(running, header + GET)
        assert told["peer"] == "203.0.113.5"
        assert told["client"] == "203.0.113.5:56324"
        assert told["local"] == "192.0.2.1:443"
        assert told["said"] == ""  # the announced peer is no trusted proxy


@pytest.mark.parametrize("header", [LINE, BINARY], ids=["v1", "v2"])
async def test_a_header_may_come_in_pieces(header: bytes) -> None:
    async with serving() as running:
        whole = header + GET
        told = await ask(running, *(whole[at : at + 7] for at in range(0, len(whole), 7)))
        assert told["peer"] == "203.0.113.5"


async def test_an_announced_peer_may_itself_be_a_trusted_proxy() -> None:
    async with serving("127.0.0.1, 203.0.113.0/24") as running:
        told = await ask(running, LINE + GET)
        assert told["peer"] == "203.0.113.5"
        assert told["client"] == "6.6.6.6"


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
async def test_a_proxy_that_names_nobody_is_the_peer(header: bytes) -> None:
    async with serving() as running:
        assert (await ask(running, header + GET))["peer"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("data", "trusted", "reason"),
    [
        (GET, "127.0.0.1", "the PROXY header is missing"),
        (SIGNATURE + b"\x41\x11\0\0", "127.0.0.1", "the PROXY header has the version 4"),
        (LINE + GET, "10.0.0.0/8", "with proxyProtocol only trustedProxies may connect"),
    ],
)
async def test_any_other_connection_is_closed_and_the_log_says_why(
    data: bytes, trusted: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(trusted) as running:
        async with await anyio.connect_tcp(*running.address) as stream:
            await stream.send(data)
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        (record,) = [record for record in caplog.records if record.name == "easews.server"]
        assert record.getMessage().startswith("a connection from 127.0.0.1:")
        assert f"was closed: {reason}" in record.getMessage()


async def test_a_header_has_to_come_within_the_header_timeout(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(header_timeout="50ms") as running:
        async with await anyio.connect_tcp(*running.address) as stream:
            await stream.send(LINE[:20])
            assert await rest(stream) == b""
        assert "no PROXY header within 0.05 s" in caplog.text


async def test_a_check_whether_the_port_is_open_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as running:
        async with await anyio.connect_tcp(*running.address) as stream:
            await stream.send_eof()
            assert await rest(stream) == b""
        assert (await ask(running, LINE + GET))["peer"] == "203.0.113.5"
        assert "easews.server" not in {record.name for record in caplog.records}


async def test_connections_count_until_they_have_ended() -> None:
    async with serving() as running:
        for _ in range(3):
            await ask(running, LINE + GET)
            async with await anyio.connect_tcp(*running.address) as stream:
                await stream.send(GET)
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
        listener = running.gateway.listeners["server"]
        with anyio.fail_after(PATIENCE):
            while listener._open:
                await anyio.lowlevel.checkpoint()


def knocking(peer: str) -> bytes:
    return LINE.replace(b"203.0.113.5", peer.encode()) + GET.replace(b"Connection: close\r\n", b"")


async def open_one(running: Running, peer: str) -> SocketStream | None:
    """A connection that is kept, or None when it was closed without an answer."""
    stream = await anyio.connect_tcp(*running.address)
    await stream.send(knocking(peer))
    with anyio.fail_after(PATIENCE):
        try:
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            await stream.aclose()
            return None
    return stream


async def test_a_client_may_have_so_many_connections_and_others_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(more="maxConnectionsPerClient: 2") as running:
        peers = ["203.0.113.5", "203.0.113.5", "203.0.113.5", "203.0.113.5", "203.0.113.6"]
        opened = [await open_one(running, peer) for peer in peers]
        assert [stream is not None for stream in opened] == [True, True, False, False, True]
        refused = [text for text in caplog.messages if "was closed" in text]
        (line,) = refused
        assert "203.0.113.5 has 2 connections, which is maxConnectionsPerClient" in line
        assert opened[0] is not None
        await opened[0].aclose()
        again = None
        while again is None:
            again = await open_one(running, "203.0.113.5")
        for stream in [*opened[1:], again]:
            if stream is not None:
                await stream.aclose()


async def test_connections_of_trusted_proxies_are_not_limited() -> None:
    async with serving(more="maxConnectionsPerClient: 1") as running:
        opened = [await open_one(running, "127.0.0.1") for _ in range(3)]
        for stream in opened:
            assert stream is not None
            await stream.aclose()


async def test_without_proxies_the_limit_is_on_the_peers() -> None:
    async with serving(more="maxConnectionsPerClient: 1", trusted="", proxy="false") as running:

        async def answer() -> bytes:
            stream = await anyio.connect_tcp(*running.address)
            await stream.send(GET.replace(b"close", b"keep-alive"))
            kept.append(stream)
            with anyio.fail_after(PATIENCE):
                try:
                    return await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return b""

        kept: list[SocketStream] = []
        assert (await answer()).startswith(b"HTTP/1.1 200")
        assert await answer() == b""
        for stream in kept:
            await stream.aclose()


async def test_a_connection_that_ends_before_it_is_adopted_is_not_counted() -> None:
    async with serving(more="maxConnectionsPerClient: 1", trusted="", proxy="false") as running:
        listener = running.gateway.listeners["server"]
        gone = socket.socket()  # as one is whose client has reset it
        with gone, pytest.raises(OSError, match="not connected"):
            listener.adopt(gone, "192.0.2.1")
        assert listener.open == 0
