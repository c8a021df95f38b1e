"""easews behind HAProxy, which announces its clients by the PROXY protocol."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from .gateway import LOOPBACK, PATIENCE, config, free_port, proxied, running
from .raw import TEXT, Frame, Peer, RawBackend, frame, handshake


@contextmanager
def haproxy(program: str, folder: Path, to: str) -> Iterator[int]:
    """HAProxy in TCP mode in front of the server `to`; its port."""
    port = free_port()
    file = folder / "haproxy.cfg"
    file.write_text(
        "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n"
        f"listen front\n bind {LOOPBACK}:{port}\n server easews {to}\n"
    )
    with subprocess.Popen([program, "-db", "-q", "-f", str(file)]) as process:
        try:
            wait_until_it_listens(port)
            yield port
        finally:
            process.terminate()


def wait_until_it_listens(port: int) -> None:
    until = monotonic() + PATIENCE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        assert monotonic() < until
        sleep(0.01)


@pytest.mark.parametrize(
    "version", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"]
)
def test_the_client_of_haproxy_is_the_client(
    haproxy_program: str, raw_backend: RawBackend, tmp_path: Path, version: str
) -> None:
    port = free_port()
    fields = {"proxyProtocol": True, "trustedProxies": [LOOPBACK]}
    text = config(port, proxied("/", f"ws://{LOOPBACK}:{raw_backend.port}"), **fields)
    with (
        running(text, tmp_path, "--log-format", "json") as gateway,
        haproxy(haproxy_program, tmp_path, f"{LOOPBACK}:{port} {version}") as front,
        socket.create_connection((LOOPBACK, front), source_address=("127.0.0.2", 0)) as sock,
    ):
        client = Peer(sock)
        client.send(handshake("/", ("X-Forwarded-For", "6.6.6.6")) + frame(TEXT, b"hello"))
        backend, request = raw_backend.accept_session()
        assert client.head().status == 101
        assert request["x-forwarded-for"] == "127.0.0.2"
        assert backend.frame() == Frame(TEXT, b"hello")
        line = json.loads(gateway.log.wait_for('"status"'))
        assert line["client"] == "127.0.0.2"
