"""Backends over TLS: the library `websockets`, OpenSSL's own server, and what their faults get."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import trustme
from tests.certificates import Authority
from tests.e2e.gateway import PATIENCE, Gateway, Route, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend, connect
from tests.tlsservers import server_context, tls_server
from websockets.exceptions import ConnectionClosed, InvalidStatus

MESSAGES: list[str | bytes] = ["hello", "", bytes(125), os.urandom(16384), os.urandom(1 << 20)]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[LibraryBackend]:
    backend = LibraryBackend(context)
    try:
        yield backend
    finally:
        backend.close()


@contextmanager
def in_front_of(backend: LibraryBackend, folder: Path, loop: str, **tls: Any) -> Iterator[Gateway]:
    """A gateway whose config has files of `folder` by their names."""
    url = backend.url.replace("127.0.0.1", "localhost")
    text = config(free_port(), proxied("/echo", url, tls=tls))
    with running(text, folder, "--backend", loop) as gateway:
        yield gateway


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_messages_of_every_size_come_back_as_they_were(
    loop: str, authority: Authority, version: str
) -> None:
    context = server_context(authority.ca, "localhost", version=ssl.TLSVersion[version])
    name = authority.file.name
    with (
        serving(context) as backend,
        in_front_of(backend, authority.folder, loop, caFile=name) as gateway,
    ):
        with connect(gateway.ws("/echo"), compression=None) as ws:
            for message in MESSAGES:
                ws.send(message)
                assert ws.recv(PATIENCE) == message
            ws.close(4000, "enough")
        assert backend.ending() == (4000, "enough")
        with connect(gateway.ws("/echo/close?code=4001&reason=full")) as ws:
            with pytest.raises(ConnectionClosed):
                ws.recv(PATIENCE)
            assert (ws.protocol.close_code, ws.protocol.close_reason) == (4001, "full")
        assert backend.ending() == (4001, "full")


def test_a_backend_gets_our_certificate(loop: str, authority: Authority) -> None:
    context = server_context(authority.ca, "localhost", clients=authority.ca)
    certificate, key = authority.issue("client.example", file="client")
    fields = {
        "caFile": authority.file.name,
        "certFile": certificate.name,
        "keyFile": key.name,
    }
    with (
        serving(context) as backend,
        in_front_of(backend, authority.folder, loop, **fields) as gateway,
        connect(gateway.ws("/echo")) as ws,
    ):
        ws.send("hello")
        assert ws.recv(PATIENCE) == "hello"
        ws.close()
        assert backend.ending()[0] == 1000


def missing(ca: trustme.CA) -> ssl.SSLContext:
    return server_context(ca, "localhost", clients=ca)


def missing_in_tls_1_2(ca: trustme.CA) -> ssl.SSLContext:
    return server_context(ca, "localhost", clients=ca, version=ssl.TLSVersion.TLSv1_2)


def expired(ca: trustme.CA) -> ssl.SSLContext:
    return server_context(ca, "localhost", not_after=datetime.now(UTC) - timedelta(days=1))


def misnamed(ca: trustme.CA) -> ssl.SSLContext:
    return server_context(ca, "other.example")


def unknown(_: trustme.CA) -> ssl.SSLContext:
    return server_context(trustme.CA(), "localhost")


def is_told_in_the_log_only(gateway: Gateway, backend: LibraryBackend, reason: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(gateway.ws("/echo"))
    response = caught.value.response
    assert response.status_code == 502
    assert b"no server could be reached" in response.body
    told = response.body + str(response.headers).encode()
    for secret in (b"TLS", b"certificate", b"localhost", b"wss:", str(backend.port).encode()):
        assert secret not in told
    gateway.log.wait_for(f"wss://localhost:{backend.port}: TLS: ", reason)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (missing, "the peer requires a certificate; write a certificate that the server accepts"),
        (missing_in_tls_1_2, "misses a certificate; if it requires one, write a certificate"),
        (expired, "certificate has expired; renew it on the server"),
        (misnamed, "; write the name that it is for in tls.serverName"),
        (unknown, "; name its authority in tls.caFile"),
    ],
)
def test_each_fault_of_a_certificate_is_told_in_the_log_only(
    loop: str,
    authority: Authority,
    fault: Callable[[trustme.CA], ssl.SSLContext],
    reason: str,
) -> None:
    with (
        serving(fault(authority.ca)) as backend,
        in_front_of(backend, authority.folder, loop, caFile=authority.file.name) as gateway,
    ):
        is_told_in_the_log_only(gateway, backend, reason)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_server_that_does_not_accept_our_certificate_is_told_in_the_log_only(
    loop: str, authority: Authority, version: str
) -> None:
    context = server_context(
        authority.ca, "localhost", clients=authority.ca, version=ssl.TLSVersion[version]
    )
    certificate, key = Authority(authority.folder).issue("client.example", file="stranger")
    fields = {
        "caFile": authority.file.name,
        "certFile": certificate.name,
        "keyFile": key.name,
    }
    with (
        serving(context) as backend,
        in_front_of(backend, authority.folder, loop, **fields) as gateway,
    ):
        is_told_in_the_log_only(
            gateway, backend, "the peer does not know the authority of the certificate"
        )


def test_insecure_is_warned_about_at_the_start(loop: str, authority: Authority) -> None:
    with (
        serving(unknown(authority.ca)) as backend,
        in_front_of(backend, authority.folder, loop, insecure=True) as gateway,
    ):
        gateway.log.wait_for(f"wss://localhost:{backend.port}: insecure: no certificate is checked")
        with connect(gateway.ws("/echo")) as ws:
            ws.send("hello")
            assert ws.recv(PATIENCE) == "hello"
            ws.close()
        assert backend.ending()[0] == 1000


def test_plain_requests_reach_a_server_over_tls(loop: str, authority: Authority) -> None:
    pool = {"tls": {"caFile": authority.file.name}}
    with tls_server(server_context(authority.ca, "localhost")) as port:
        servers = [{"url": f"https://localhost:{port}"}]
        entry = {"kind": "Proxy", "name": "proxy", "pools": [{"servers": servers, **pool}]}
        text = config(free_port(), Route("/", [entry]))
        with running(text, authority.folder, "--backend", loop) as gateway:
            for _ in range(3):
                with urlopen(gateway.http("/"), timeout=PATIENCE) as answer:
                    assert answer.read() == b"hi"
