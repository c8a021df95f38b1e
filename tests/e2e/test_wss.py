"""WebSocket sessions over TLS.

The clients are `websockets` on asyncio, and single threads: the library's client with threads
reads and writes one OpenSSL object at the same time, and sometimes waits for ever over TLS 1.3.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_connection, socket
from typing import NamedTuple

import pytest
from tests.certificates import Authority
from tests.e2e import raw
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend
from tests.e2e.raw import Peer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

MESSAGES: list[str | bytes] = ["hello", "", bytes(125), os.urandom(16384), os.urandom(1 << 20)]
#: Connections that never finish their handshake, honest clients, and messages of each of these.
STUCK, HONEST, ECHOES = 1000, 50, 20
#: A turn in which another program ran beside the stuck handshakes says nothing, so there are some.
TURNS, MOST = 8, 3.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secure(
    loop: str, authority: Authority, backend: LibraryBackend, tmp_path: Path
) -> Iterator[Gateway]:
    text = config(free_port(), proxied("/echo", backend.url), **authority.fields("localhost"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        yield gateway


def library(gateway: Gateway, context: ssl.SSLContext, path: str = "/echo") -> connect:
    """A session of the library's, once it is entered."""
    sock = create_connection((LOOPBACK, gateway.port), PATIENCE)
    return connect(
        gateway.wss(path), sock=sock, ssl=context, compression=None, max_size=None, proxy=None
    )


async def echoed(ws: ClientConnection, message: str | bytes) -> None:
    await ws.send(message)
    assert await ws.recv() == message


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_messages_of_every_size_come_back_as_they_were(
    secure: Gateway, authority: Authority, backend: LibraryBackend, version: str
) -> None:
    context = authority.client()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

    async def session() -> None:
        async with asyncio.timeout(PATIENCE), library(secure, context) as ws:
            for message in MESSAGES:
                await echoed(ws, message)
            await ws.close(4000, "enough")

    asyncio.run(session())
    assert backend.ending() == (4000, "enough")


def test_a_backends_close_reaches_the_client(
    secure: Gateway, authority: Authority, backend: LibraryBackend
) -> None:
    path = "/echo/close?code=4001&reason=full"

    async def session() -> None:
        async with asyncio.timeout(PATIENCE), library(secure, authority.client(), path) as ws:
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (4001, "full")

    asyncio.run(session())
    assert backend.ending() == (4001, "full")


@contextmanager
def opened(gateway: Gateway, context: ssl.SSLContext) -> Iterator[Peer]:
    """A session that one thread reads and writes."""
    sock = create_connection((LOOPBACK, gateway.port), PATIENCE)
    with context.wrap_socket(sock, server_hostname="localhost") as secured:
        peer = Peer(secured)
        peer.send(raw.handshake("/echo"))
        assert peer.head().status == 101
        yield peer
        peer.send(raw.frame(raw.CLOSE, (1000).to_bytes(2)))
        assert peer.frame().opcode == raw.CLOSE


def echo(peer: Peer, payload: bytes = bytes(125)) -> None:
    peer.send(raw.frame(raw.BINARY, payload))
    assert peer.frame().payload == payload


def stuck(gateway: Gateway) -> socket:
    """A connection that has begun a record of its handshake, and sends no more."""
    sock = create_connection((LOOPBACK, gateway.port), PATIENCE)
    sock.sendall(b"\x16\x03\x01\x02\x00\x01")
    return sock


def test_a_session_outlives_the_renewal_of_its_certificate(
    secure: Gateway, authority: Authority, backend: LibraryBackend
) -> None:
    with opened(secure, authority.client()) as peer:
        authority.issue("localhost", "new.example")
        secure.log.wait_for("has a certificate for localhost, new.example")
        echo(peer)
    assert backend.ending()[0] == 1000


def test_a_stalled_handshake_keeps_nobody_waiting(
    secure: Gateway, authority: Authority, backend: LibraryBackend
) -> None:
    with opened(secure, authority.client()) as peer, stuck(secure):
        for number in range(100):
            echo(peer, str(number).encode())
    assert backend.ending()[0] == 1000


class Took(NamedTuple):
    """The seconds for some echoes, and for a new session with one: medians over all honest clients,
    since stuck handshakes would delay all, and what else the machine does delays some.
    """

    echoes: float
    session: float


def honest_work(peers: Sequence[Peer], gateway: Gateway, context: ssl.SSLContext) -> Took:
    def once(peer: Peer) -> Took:
        began = time.perf_counter()
        for _ in range(ECHOES):
            echo(peer)
        echoed = time.perf_counter()
        with opened(gateway, context) as another:
            echo(another)
        return Took(echoed - began, time.perf_counter() - echoed)

    with ThreadPoolExecutor(len(peers)) as threads:
        return Took(*map(statistics.median, zip(*threads.map(once, peers), strict=True)))


@pytest.mark.slow
def test_a_thousand_handshakes_that_never_end_slow_nobody_down(
    secure: Gateway, authority: Authority, backend: LibraryBackend
) -> None:
    context = authority.client()
    ratios: list[float] = []
    with ExitStack() as stack:
        peers = [stack.enter_context(opened(secure, context)) for _ in range(HONEST)]
        while len(ratios) < TURNS and min(ratios, default=MOST) >= MOST:
            quiet = honest_work(peers, secure, context)
            with ExitStack() as handshakes:
                for _ in range(STUCK):
                    handshakes.enter_context(stuck(secure))
                beside = honest_work(peers, secure, context)
            ratios.append(max(after / before for before, after in zip(quiet, beside, strict=True)))
    for _ in range((1 + 2 * len(ratios)) * HONEST):
        assert backend.ending()[0] == 1000
    assert min(ratios) < MOST, ratios
