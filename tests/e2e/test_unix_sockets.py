"""Sessions over a unix socket: the relay has a client's side that is no TCP."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from websockets.sync.client import unix_connect

from .gateway import EASEWS, LOOPBACK, Gateway, proxied, running
from .library import LibraryBackend
from .raw import BINARY, CLOSE, TEXT, Frame, Peer, RawBackend, close_frame, frame, handshake


def config(path: Path, url: str, **fields: object) -> str:
    route = proxied("/", url)
    rules = [{"paths": [route.path_entry()]}]
    server = {"kind": "HTTPServer", "name": "server", "address": f"unix:{path}", "rules": rules}
    return yaml.safe_dump_all([{**server, **fields}, route.pipeline_object()])


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder, "s")


@pytest.fixture
def unix_gateway(loop: str, path: Path, raw_port: int, tmp_path: Path) -> Iterator[Gateway]:
    text = config(path, f"ws://{LOOPBACK}:{raw_port}")
    with running(text, tmp_path, "--backend", loop, "--log-format", "json") as gateway:
        yield gateway


def connect(path: Path) -> Peer:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return Peer(sock)


def test_a_session_over_a_unix_socket_is_relayed_both_ways_and_closed(
    unix_gateway: Gateway, raw_backend: RawBackend, path: Path
) -> None:
    large = os.urandom(1 << 20)
    with connect(path) as client:
        client.send(handshake("/"))
        backend, request = raw_backend.accept_session()
        assert request["x-forwarded-for"] == "unknown"
        assert client.head().status == 101
        client.send(frame(TEXT, b"hello"))
        assert backend.frame() == Frame(TEXT, b"hello")
        client.send(frame(BINARY, large))
        assert backend.frame() == Frame(BINARY, large)
        backend.send(frame(TEXT, b"hi", masked=False))
        assert client.frame() == Frame(TEXT, b"hi")
        backend.send(frame(BINARY, large, masked=False))
        assert client.frame() == Frame(BINARY, large)
        client.send(close_frame(1000, "done"))
        assert backend.frame().close == (1000, "done")
        backend.send(close_frame(1000, "done", masked=False))
        assert client.frame().opcode == CLOSE
        assert client.rest() == b""
        backend.close()
    line = unix_gateway.log.wait_for('"event": "session"')
    assert '"client": "unix"' in line
    assert '"code": 1000' in line


def test_a_client_that_is_lost_is_reported_to_the_backend(
    unix_gateway: Gateway, raw_backend: RawBackend, path: Path
) -> None:
    with connect(path) as client:
        client.send(handshake("/"))
        backend, _ = raw_backend.accept_session()
        assert client.head().status == 101
    assert backend.frame().close[0] == 1001


def test_a_library_talks_over_it(
    loop: str, backend: LibraryBackend, path: Path, tmp_path: Path
) -> None:
    with (
        running(config(path, backend.url), tmp_path, "--backend", loop),
        unix_connect(str(path), uri="ws://example.test/echo") as client,
    ):
        for message in ("text", b"binary", "x" * 100_000):
            client.send(message)
            assert client.recv() == message
    backend.ending()


def test_run_says_where_it_listens_and_a_second_one_is_refused(
    loop: str, path: Path, tmp_path: Path
) -> None:
    text = config(path, f"ws://{LOOPBACK}:1")
    with running(text, tmp_path, "--backend", loop) as gateway:
        assert gateway.out.having(f"server listens on unix:{path}")
        second = subprocess.run(
            [*EASEWS, "run", str(tmp_path / "config.yaml")], capture_output=True, text=True
        )
        assert second.returncode == 1
        assert f"cannot listen on unix:{path}: Address already in use" in second.stderr
        assert path.is_socket()
    assert not path.exists()


def test_a_killed_process_is_succeeded(loop: str, path: Path, tmp_path: Path) -> None:
    text = config(path, f"ws://{LOOPBACK}:1")
    file = tmp_path / "first.yaml"
    file.write_text(text)
    killed = Gateway(file, "--backend", loop)
    killed.wait_until_it_listens()
    killed.close()
    assert path.is_socket()
    with running(text, tmp_path, "--backend", loop), connect(path) as client:
        client.send(b"GET /nowhere/.. HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.head().status == 400
