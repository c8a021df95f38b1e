"""Servers that are told of clients by the PROXY protocol: HAProxy reads it (`accept-proxy`)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest
from tests.certificates import Authority
from tests.e2e.gateway import LOOPBACK, config, free_port, proxied, running
from tests.e2e.peers import serving
from tests.e2e.raw import TEXT, Frame, Peer, RawBackend, frame, handshake

#: Where the client comes from: not where easews connects from.
CLIENT = "127.0.0.3"


@contextmanager
def haproxy(program: str, folder: Path, raw_port: int, *options: str) -> Iterator[int]:
    """HAProxy in front of the backend: it reads the header, and tells of the client by HTTP."""
    port = free_port()
    file = folder / "haproxy.cfg"
    file.write_text(
        "defaults\n mode http\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n"
        f"listen front\n bind {LOOPBACK}:{port} accept-proxy {' '.join(options)}\n"
        " http-request set-header X-Seen %[src]:%[src_port]\n"
        f" server backend {LOOPBACK}:{raw_port}\n"
    )
    with serving([program, "-db", "-q", "-f", file], port, stop=SIGTERM):
        yield port


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_haproxy_sees_the_client_and_not_the_gateway(
    loop: str,
    haproxy_program: str,
    raw_backend: RawBackend,
    tmp_path: Path,
    version: str,
    tls: bool,
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    options = ["ssl", "crt", str(both)] if tls else []
    with haproxy(haproxy_program, tmp_path, raw_backend.port, *options) as front:
        url = f"{'wss://localhost' if tls else f'ws://{LOOPBACK}'}:{front}"
        fields: dict[str, Any] = {"tls": {"caFile": authority.file.name}} if tls else {}
        text = config(free_port(), proxied("/", url, proxyProtocol=version, **fields))
        with (
            running(text, tmp_path, "--backend", loop) as gateway,
            socket.create_connection((LOOPBACK, gateway.port), source_address=(CLIENT, 0)) as sock,
        ):
            client = Peer(sock)
            client.send(handshake("/") + frame(TEXT, b"hello"))
            backend, request = raw_backend.accept_session()
            assert client.head().status == 101
            assert request["x-seen"] == f"{CLIENT}:{sock.getsockname()[1]}"
            assert backend.frame() == Frame(TEXT, b"hello")
