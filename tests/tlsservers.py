"""Servers that speak TLS, in a thread, for what dials them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Thread
from typing import Any

import trustme

from easews.upstream import Server, Via
from easews.upstream.dialling.securing import ClientTlsSpec, client_tls

PATIENCE = 30
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def server_context(
    ca: trustme.CA,
    *names: str,
    clients: trustme.CA | None = None,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    not_after: datetime | None = None,
) -> ssl.SSLContext:
    """What a server with a certificate for `names` begins with. `clients` has to sign theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    ca.issue_cert(*names, not_after=not_after).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _serve(listening: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            sock, _ = listening.accept()
        except OSError:
            return  # it was closed
        with sock, suppress(OSError):
            sock.settimeout(PATIENCE)
            _answer(context.wrap_socket(sock, server_side=True) if context else sock)


def _answer(sock: socket.socket) -> None:
    with sock:
        while request := sock.recv(65536):
            assert request
            sock.sendall(ANSWER)


@contextmanager
def tls_server(context: ssl.SSLContext | None) -> Iterator[int]:
    """A server that answers whatever it is sent with `ANSWER`; its port. Without a context it
    speaks no TLS.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=_serve, args=(listening, context))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def via(ca: trustme.CA | None = None, timeout: float = PATIENCE, **fields: Any) -> Via:
    """How a pool reaches its servers whose `tls` has these fields; `ca` is its caBase64."""
    if ca is not None:
        fields["caBase64"] = ca.cert_pem.bytes().decode()
    given = {"minVersion": "TLSv1.2", "insecure": False, **fields}
    return Via(client_tls(ClientTlsSpec.of(given)), timeout)


def at(port: int, how: Via, host: str = "localhost") -> Server:
    return Server.at(f"wss://{host}:{port}", via=how)
