"""Clients and backends over real sockets, here with each other and no gateway between them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import pytest
from wsproto import ConnectionType, WSConnection

from easews import Address
from easews.net.sockets import configure
from easews.testing import SocketPeer, real_backend, real_client


@asynccontextmanager
async def pair(
    deflate: bool = False, **faults: Any
) -> AsyncIterator[tuple[SocketPeer, SocketPeer]]:
    async with (
        real_backend(deflate=deflate, **faults) as server,
        real_client(server.address, deflate=deflate) as client,
    ):
        yield client, await server.accepts()


@pytest.mark.parametrize("deflate", [False, True])
async def test_they_talk(deflate: bool) -> None:
    async with pair(deflate) as (client, backend):
        assert (client.deflates, backend.deflates) == (deflate, deflate)
        await client.sends("hi", b"\x00\xff", "x" * 200_000)
        await backend.receives("hi", b"\x00\xff", "x" * 200_000)
        await backend.sends_json({"a": "é"})
        await client.receives_json({"a": "é"})
        await client.receives_nothing()
        assert (client.pings, backend.pings) == (0, 1)


async def test_what_is_on_its_way_is_no_nothing() -> None:
    async with pair() as (client, backend):
        await backend.sends("late")
        with pytest.raises(AssertionError, match="to receive nothing, but it received 'late'"):
            await client.receives_nothing()


@pytest.mark.parametrize("first", [0, 1])
async def test_either_side_closes(first: int) -> None:
    async with pair() as peers:
        one, other = peers[first], peers[1 - first]
        await one.closes(4000, "bye")
        await other.is_closed_with(4000, "bye")
        await one.is_closed_with(4000, "bye")


async def test_a_message_comes_in_fragments_and_slowly() -> None:
    async with pair() as (client, backend):
        await client.sends_fragments("he", "", "llo")
        await client.sends_fragments(b"he", b"llo")
        await client.sends_slowly("slow", pieces=3, pause=0.001)
        await backend.receives("hello", b"hello", "slow")


async def test_a_reset_in_the_middle_of_a_frame() -> None:
    async with pair() as (client, backend):
        await client.sends("complete")
        await backend.receives("complete")
        await client.resets_inside("x" * 1000)
        await backend.is_closed_with(1006)
        await backend.sends("nobody gets it")
        with pytest.raises(AssertionError, match="'x', but it has closed the connection"):
            await client.receives("x")


async def test_a_peer_that_vanishes_sends_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sock = configure(socket.create_connection(listening.getsockname()))
        accepted, _ = listening.accept()
        await SocketPeer("client", sock, WSConnection(ConnectionType.CLIENT)).vanishes()
        with accepted, pytest.raises(ConnectionResetError):
            accepted.recv(1)


async def test_a_slow_reader_takes_nothing_until_it_reads_again() -> None:
    async with pair(receive_buffer=4096) as (client, backend):
        backend.stops_reading()
        await client.sends("first")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.sends, "x" * 20_000_000)
            await anyio.wait_all_tasks_blocked()
            assert len(backend.heard) <= 1  # it was waiting for data when it was told
            backend.reads_again()
        await backend.receives("first", "x" * 20_000_000)


async def test_a_backend_that_refuses_connections() -> None:
    async with real_backend(refuses=True) as server:
        with pytest.raises(ConnectionRefusedError):
            async with real_client(server.address):
                pass


async def test_a_backend_that_refuses_handshakes() -> None:
    async with real_backend(status=503, headers=[("Retry-After", "7")]) as server:
        async with real_client(server.address) as client:
            assert (client.status, client.headers.get("Retry-After")) == (503, "7")
        assert [peer.status for peer in server.peers] == [503]


async def test_what_the_handshake_has_said() -> None:
    began = anyio.current_time()
    how = {"subprotocols": ["chat", "other"], "headers": [("X-A", "1")]}
    async with (
        real_backend(subprotocol="chat", headers=[("X-B", "2")], delay=0.05) as server,
        real_client(server.address, "/path?q=1", **how) as client,  # type: ignore[arg-type]
    ):
        backend = await server.accepts()
        assert anyio.current_time() - began > 0.04  # the clock of uvloop counts milliseconds
        assert (backend.target, backend.headers.get("X-A")) == ("/path?q=1", "1")
        assert (client.status, client.headers.get("X-B")) == (101, "2")
        assert client.subprotocol == backend.subprotocol == "chat"


async def test_a_handshake_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easews.testing.realpeers.PATIENCE", 0.01)
    async with real_backend() as server:
        with pytest.raises(AssertionError, match=r"expected a handshake at ws://127\.0\.0\.1:"):
            await server.accepts()


async def test_a_message_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easews.testing.sockets.PATIENCE", 0.01)
    async with pair() as (client, _backend):
        with pytest.raises(AssertionError, match="receive 'x', but it received nothing"):
            await client.receives("x")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_a_backend_survives_what_is_no_handshake(sent: bytes) -> None:
    async with real_backend() as server:
        async with await anyio.connect_tcp(*server.address) as stream:
            if sent:
                await stream.send(sent)
        async with real_client(server.address) as client:
            assert client.status == 101


async def test_a_server_that_closes_in_the_handshake() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        address = Address(*listener.extra(anyio.abc.SocketAttribute.local_address))

        async def close(stream: anyio.abc.SocketStream) -> None:
            await stream.receive()
            await stream.aclose()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, close)
            with pytest.raises(ConnectionError, match="closed the connection in the handshake"):
                async with real_client(address):
                    pass
            tasks.cancel_scope.cancel()
