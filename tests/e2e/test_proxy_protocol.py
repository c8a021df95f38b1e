"""easews behind HAProxy, which announces its clients by the PROXY protocol."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from tempfile import TemporaryDirectory

import pytest
from tests.certificates import Authority

from .gateway import LOOPBACK, Gateway, config, free_port, proxied, running
from .peers import serving
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
    with serving([program, "-db", "-q", "-f", file], port, stop=SIGTERM):
        yield port


def proxying(port: int, raw_port: int, **fields: object) -> str:
    """The text of a config behind a proxy on the loopback address."""
    behind = {"proxyProtocol": True, "trustedProxies": [LOOPBACK], **fields}
    return config(port, proxied("/", f"ws://{LOOPBACK}:{raw_port}"), **behind)


def connect(front: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, front), source_address=("127.0.0.2", 0))


def check_a_session(client: Peer, raw_backend: RawBackend, gateway: Gateway) -> None:
    """The backend and the log name the client that HAProxy has seen."""
    client.send(handshake("/", ("X-Forwarded-For", "6.6.6.6")) + frame(TEXT, b"hello"))
    backend, request = raw_backend.accept_session()
    assert client.head().status == 101
    assert request["x-forwarded-for"] == "127.0.0.2"
    assert backend.frame() == Frame(TEXT, b"hello")
    assert json.loads(gateway.log.wait_for('"status"'))["client"] == "127.0.0.2"


VERSIONS = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_client_of_haproxy_is_the_client(
    haproxy_program: str, raw_backend: RawBackend, tmp_path: Path, version: str
) -> None:
    port = free_port()
    with (
        running(proxying(port, raw_backend.port), tmp_path, "--log-format", "json") as gateway,
        haproxy(haproxy_program, tmp_path, f"{LOOPBACK}:{port} {version}") as front,
        connect(front) as sock,
    ):
        check_a_session(Peer(sock), raw_backend, gateway)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_header_stands_in_front_of_the_tls_handshake(
    haproxy_program: str, raw_backend: RawBackend, tmp_path: Path, version: str
) -> None:
    port, authority = free_port(), Authority(tmp_path)
    text = proxying(port, raw_backend.port, **authority.fields("example.test"))
    with (
        running(text, tmp_path, "--log-format", "json") as gateway,
        haproxy(haproxy_program, tmp_path, f"{LOOPBACK}:{port} {version}") as front,
        connect(front) as sock,
        authority.client().wrap_socket(sock, server_hostname="example.test") as secured,
    ):
        check_a_session(Peer(secured), raw_backend, gateway)


def test_it_works_over_a_unix_socket(
    haproxy_program: str, raw_backend: RawBackend, tmp_path: Path
) -> None:
    with TemporaryDirectory() as folder:
        path = f"{folder}/s"
        fields = {"address": f"unix:{path}", "trustedProxies": ["unix"]}
        text = proxying(1, raw_backend.port, **fields).replace("port: 1\n", "")
        with (
            running(text, tmp_path, "--log-format", "json") as gateway,
            haproxy(haproxy_program, tmp_path, f"unix@{path} send-proxy-v2") as front,
            connect(front) as sock,
        ):
            check_a_session(Peer(sock), raw_backend, gateway)
