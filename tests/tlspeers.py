"""TLS connections whose far end is in the test's hands."""

from __future__ import annotations

import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

import anyio
import trustme
from anyio import to_thread

from easews.net.tls import TlsWire
from easews.net.tlshandshake import handshake

#: Seconds; far more than anything here takes, only to end a test that would hang.
PATIENCE = 30


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def server_context(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.maximum_version = version
    authority().issue_cert("localhost").configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


class TlsPeer:
    """A client that writes each record by itself; its socket blocks."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = client_context().wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost"
        )

    def shake_hands(self) -> None:
        while True:
            try:
                self.ssl.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self.fill()
            else:
                return self.flush()

    def record(self, data: bytes) -> bytes:
        """`data` as it is sent: a record, if it fits in one."""
        self.ssl.write(data)
        return self.outgoing.read()

    def notify_close(self) -> bytes:
        """The record that ends this side."""
        with suppress(ssl.SSLError):  # the other side has not ended
            self.ssl.unwrap()
        return self.outgoing.read()

    def send(self, data: bytes) -> None:
        self.sock.sendall(self.record(data))

    def receive(self) -> bytes:
        """A record's payload; b"" at a close_notify."""
        while True:
            try:
                return self.ssl.read(65536)
            except ssl.SSLWantReadError:
                self.fill()
            except ssl.SSLZeroReturnError:
                return b""

    def receive_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.receive()
            assert piece, f"the stream ended after {len(data)} of {size} bytes"
            data += piece
        return data

    def fill(self) -> None:
        data = self.sock.recv(65536)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def flush(self) -> None:
        self.sock.sendall(self.outgoing.read())


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    far.setblocking(False)
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


@contextmanager
def raw_pair(context: ssl.SSLContext | None = None) -> Iterator[tuple[TlsPeer, TlsWire]]:
    """A peer and our wire, before their handshake."""
    near, far = tcp_pair()
    wire = TlsWire(far, context or server_context())
    with near:
        try:
            yield TlsPeer(near), wire
        finally:
            wire.close()


async def shake_hands(peer: TlsPeer, wire: TlsWire) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(to_thread.run_sync, peer.shake_hands)
        await handshake(wire, PATIENCE)


def shake_hands_now(peer: TlsPeer | TlsWire, wire: TlsWire) -> None:
    """The same where no event loop runs."""
    ours, theirs = wire.ssl, peer.ssl
    for _ in range(3):
        for end in (theirs, ours):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            wire.incoming.write(peer.outgoing.read())
            peer.incoming.write(wire.outgoing.read())


def is_readable(wire: TlsWire, seconds: float = 0) -> bool:
    """What a poll of its socket says."""
    return bool(select.select([wire], [], [], seconds)[0])


class TlsEnd(TlsWire):
    """A client's end that is used as a socket. `fills`: how often bytes have come."""

    fills = 0

    def fill(self) -> bool:
        came = super().fill()
        self.fills += came
        return came

    def setblocking(self, blocks: bool) -> None:
        self.sock.setblocking(blocks)

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        self.sock.setsockopt(level, name, value)

    def reset(self) -> None:
        """Close without a word."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def tls_pair(
    pair: Callable[[], tuple[socket.socket, socket.socket]], *, dialled: bool = False
) -> tuple[TlsEnd, TlsWire]:
    """The peer's end and ours, after their handshake, over what `pair` makes. The peer is a client,
    or with `dialled` a server, whose session tickets we have still to read.
    """
    near, far = pair()
    server, client = server_context(), client_context()
    if dialled:
        peer = TlsEnd(near, server)
        wire = TlsWire(far, client, server_side=False, server_hostname="localhost")
    else:
        peer = TlsEnd(near, client, server_side=False, server_hostname="localhost")
        wire = TlsWire(far, server)
    shake_hands_now(peer, wire)
    near.setblocking(False)
    far.setblocking(False)
    return peer, wire
