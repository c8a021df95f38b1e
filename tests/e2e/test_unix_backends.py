"""Servers on unix sockets: the library `websockets`, and Python's own HTTP server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest
from tests.e2e.gateway import PATIENCE, Route, config, free_port, proxied, running
from tests.e2e.library import connect
from websockets.exceptions import InvalidStatus
from websockets.sync.server import ServerConnection, unix_serve


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder, "app.sock")


@contextmanager
def serving(server: Any) -> Iterator[None]:
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(PATIENCE)


def echo(ws: ServerConnection) -> None:
    assert ws.request is not None
    ws.send(f"{ws.request.path} for {ws.request.headers['Host']}")
    for message in ws:
        ws.send(message)


def test_a_session_is_relayed_below_the_path(loop: str, path: Path, tmp_path: Path) -> None:
    large = os.urandom(1 << 20)
    with serving(unix_serve(echo, str(path), max_size=None)):
        text = config(free_port(), proxied("/", f"unix:{path}:/base"))
        with (
            running(text, tmp_path, "--backend", loop) as gateway,
            connect(gateway.ws("/room?a=b"), compression=None) as ws,
        ):
            host = f"127.0.0.1:{gateway.port}"
            assert ws.recv(PATIENCE) == f"/base/room?a=b for {host}"
            ws.send(large)
            assert ws.recv(PATIENCE) == large


def test_a_socket_that_is_not_there_is_told(loop: str, path: Path, tmp_path: Path) -> None:
    text = config(free_port(), proxied("/", f"unix:{path}"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        with pytest.raises(InvalidStatus) as caught:
            connect(gateway.ws("/"))
        assert caught.value.response.status_code == 502
        gateway.log.wait_for(f"unix:{path}: No such file or directory")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.path} for {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_requests_are_sent_on(loop: str, path: Path, tmp_path: Path) -> None:
    server = UnixStreamServer(str(path), Handler)
    with server, serving(server):
        pools = [{"servers": [{"url": f"unix:{path}"}]}]
        entry = {"kind": "Proxy", "name": "proxy", "pools": pools}
        text = config(free_port(), Route("/", [entry]))
        with running(text, tmp_path, "--backend", loop) as gateway:
            for _ in range(2):
                with urlopen(gateway.http("/x"), timeout=PATIENCE) as answer:
                    assert answer.read() == f"/x for 127.0.0.1:{gateway.port}".encode()
