"""Whatever a filter does with the messages of its sessions, other sessions go on as usual."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from tests.e2e import misbehaving, raw
from tests.e2e.gateway import LOOPBACK, FilterEntry, Gateway, Route, config, free_port
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.raw import BINARY, CLOSE, Peer

MIB = 1024 * 1024
DEFLATE = ("Sec-WebSocket-Extensions", "permessage-deflate")
#: The code of the Close that ends the session; None when it goes on.
ENDINGS = {
    "raises": 1011,
    "returns nonsense": 1011,
    "cancels": 1011,
    "sleeps": None,
    "injects without end": 1008,
    "blocks": None,
    "multiplies": None,
}


def read_by(kind: str, backend: LibraryBackend, **spec: str) -> Route:
    """A path prefix whose messages a filter reads: its kind and what it does."""
    name = spec.get("how", kind).replace(" ", "-").lower()
    filters: list[FilterEntry] = [
        {"kind": kind, "name": "reader", **spec},
        {"kind": "WebSocketProxy", "name": "proxy", "pools": [{"servers": [{"url": backend.url}]}]},
    ]
    return Route(f"/{name}", filters, (), {"clientMaxBodySize": -1})


@pytest.fixture(scope="module")
def echo() -> Iterator[LibraryBackend]:
    backend = LibraryBackend()
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def misled(
    loop: str, echo: LibraryBackend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway with a path for each misdeed, and /shouts."""
    routes = [read_by("Misbehaves", echo, how=how) for how in misbehaving.MISDEEDS]
    file = tmp_path_factory.mktemp("misled") / "config.yaml"
    file.write_text(config(free_port(), *routes, read_by("Shouts", echo)))
    gateway = Gateway(file, "--backend", loop, "--watch-plugins", str(misbehaving.__file__))
    try:
        gateway.wait_until_it_listens()
        yield gateway
        gateway.terminate()
        assert gateway.wait() == 0, gateway.log.all()
    finally:
        gateway.close()


def open_session(gateway: Gateway, path: str, *fields: tuple[str, str]) -> Peer:
    peer = Peer(socket.create_connection((LOOPBACK, gateway.port)))
    peer.send(raw.handshake(path, *fields))
    assert peer.head().status == 101
    return peer


def ending_of(peer: Peer) -> int:
    """The code of the Close that comes in the end."""
    while (frame := peer.frame()).opcode != CLOSE:
        pass
    return frame.close[0]


@pytest.mark.parametrize("how", misbehaving.MISDEEDS)
def test_other_sessions_go_on(misled: Gateway, how: str) -> None:
    before = misled.peak_kib()
    path = f"/{how.replace(' ', '-')}"
    with ExitStack() as stack:
        bad = [stack.enter_context(open_session(misled, path)) for _ in range(3)]
        for peer in bad:  # they read nothing yet
            peer.send(raw.frame(BINARY, bytes(10_000)) * 10)
        with connect(misled.ws("/shouts")) as good:
            for number in range(20):
                good.send(f"message {number}")
            assert [good.recv() for _ in range(20)] == [f"MESSAGE {number}" for number in range(20)]
        for peer in bad:
            if (code := ENDINGS[how]) is not None:
                assert ending_of(peer) == code
    assert misled.peak_kib() - before < 100_000


@cache
def bomb(size: int) -> bytes:
    """A frame of a MiB whose message has so many MiB."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(MIB)
    data = b"".join(deflate.compress(zeros) for _ in range(size))
    data += deflate.flush(zlib.Z_SYNC_FLUSH)
    frame = raw.frame(BINARY, data[:-4])
    return bytes((frame[0] | 0x40,)) + frame[1:]  # RSV1: it is compressed


def test_a_deflate_bomb_is_1009_in_bounded_memory(misled: Gateway) -> None:
    before, frame = misled.peak_kib(), bomb(1024)
    assert len(frame) < 1.1 * MIB
    with open_session(misled, "/shouts", DEFLATE) as peer:
        peer.send(frame)
        assert ending_of(peer) == 1009
    assert misled.peak_kib() - before < 16_000
