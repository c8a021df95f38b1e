"""Bodies that are larger than any memory: they pass, and easews needs no more for them.

64 MiB each way, or as many bytes as EASEWS_LARGE_BODY says.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, Route, config, free_port, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

SIZE = int(os.environ.get("EASEWS_LARGE_BODY", 64 * 1024 * 1024))
BLOCK = bytes(range(256)) * 4096
#: What a gateway may need besides, however large a body is.
MARGIN_KIB = 8 * 1024


def receive_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """A head, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        assert piece, f"the stream ended after {data!r}"
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def send_body(sock: socket.socket) -> None:
    left = SIZE
    while left:
        sock.sendall(BLOCK[:left])
        left -= min(left, len(BLOCK))


def receive_body(sock: socket.socket, first: bytes) -> int:
    """How many bytes have come, of which each has to be the one that is due."""
    count, piece = 0, first
    while True:
        at = count % len(BLOCK)
        expected = BLOCK[at : at + len(piece)]
        expected += BLOCK[: len(piece) - len(expected)]
        assert piece == expected
        count += len(piece)
        if count >= SIZE:
            return count
        piece = sock.recv(1 << 20)
        assert piece, f"the stream ended after {count} bytes"


class Server:
    """Sends the body to who asks for it, and takes that of who sends one."""

    def __init__(self) -> None:
        self._listening = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._listening.getsockname()[1]}"
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            with sock:
                head, rest = receive_head(sock)
                if head.startswith(b"GET"):
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
                    send_body(sock)
                else:
                    text = b"%d" % receive_body(sock, rest)
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text))
                    sock.sendall(text)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def gateway(loop: str, tmp_path: Path) -> Iterator[Gateway]:
    pool = {"clientMaxBodySize": -1, "timeouts": {"idle": f"{PATIENCE:g}s"}}
    with closing(Server()) as server:
        servers = [{"url": server.url}]
        entry = {"kind": "Proxy", "name": "proxy", "pools": [{"servers": servers, **pool}]}
        route = Route("/", [entry], path_fields={"clientMaxBodySize": -1})
        text = config(free_port(), route, keepAlive=False)
        with running(text, tmp_path, "--backend", loop) as gateway:
            yield gateway


def connect(gateway: Gateway) -> socket.socket:
    sock = socket.create_connection((LOOPBACK, gateway.port))
    sock.settimeout(PATIENCE)
    return sock


def test_a_download_needs_no_memory(gateway: Gateway) -> None:
    before = gateway.peak_kib()
    with connect(gateway) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head, rest = receive_head(sock)
        assert b"Content-Length: %d" % SIZE in head
        assert receive_body(sock, rest) == SIZE
    grown = gateway.peak_kib() - before
    print(f"{SIZE >> 20} MiB down: the peak grew by {grown} KiB, from {before}")
    assert grown < MARGIN_KIB


def test_an_upload_needs_no_memory(gateway: Gateway) -> None:
    before = gateway.peak_kib()
    with connect(gateway) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE)
        send_body(sock)
        _, rest = receive_head(sock)
        while len(rest) < len(str(SIZE)):
            rest += sock.recv(100)
        assert int(rest) == SIZE
    grown = gateway.peak_kib() - before
    print(f"{SIZE >> 20} MiB up: the peak grew by {grown} KiB, from {before}")
    assert grown < MARGIN_KIB
