"""`TlsWire`, against peers that are written on OpenSSL's own objects."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import anyio
import pytest
from anyio import to_thread
from tests.tlspeers import (
    PATIENCE,
    TlsPeer,
    client_context,
    is_readable,
    raw_pair,
    server_context,
    shake_hands,
    shake_hands_now,
    tcp_pair,
)

from easews import Services
from easews.config.model import RequestLimits
from easews.net.tls import RECORD_PAYLOAD, TlsWire
from easews.net.tlshandshake import handshake
from easews.net.waiting import linger, receive, send_all
from easews.net.wire import pending, raw_socket, socket_of
from easews.server.reader import RequestReader
from easews.server.watch import ClientWatch

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
Pair = tuple[TlsPeer, TlsWire]


@pytest.fixture(params=VERSIONS, ids=["TLS 1.2", "TLS 1.3"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A peer and our wire, after their handshake."""
    with raw_pair(server_context(request.param)) as pair:
        shake_hands_now(*pair)
        yield pair


@pytest.fixture
def raw() -> Iterator[Pair]:
    """A peer and our wire, before their handshake."""
    with raw_pair() as pair:
        yield pair


def receive_now(wire: TlsWire, size: int) -> bytes:
    """What is there, or comes soon, without a poll where none is due."""
    while True:
        try:
            return wire.recv(size)
        except BlockingIOError:
            assert not wire.pending
            assert is_readable(wire, PATIENCE)


def fill_up(wire: TlsWire, peer: TlsPeer) -> tuple[bytes, bytes]:
    """Send until the socket takes no more: what was sent, and the piece that was refused."""
    sent = b""
    while True:
        piece = bytes([len(sent) // RECORD_PAYLOAD % 251]) * RECORD_PAYLOAD
        try:
            assert wire.send(piece) == len(piece)
        except BlockingIOError:
            if not _makes_room(wire):
                return sent, piece
        else:
            sent += piece


def _makes_room(wire: TlsWire) -> bool:
    """Whether the kernel takes more a moment later: it moves bytes on to the peer's buffer."""
    before = wire.outgoing.pending
    time.sleep(0.05)
    with suppress(BlockingIOError):
        wire.flush()
    return wire.outgoing.pending < before


def connect_openssl(openssl: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """An `openssl s_client`, and our end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "{}:{}".format(*listening.getsockname())
        client = subprocess.Popen(
            [openssl, "s_client", "-connect", address, "-tls1_3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        far, _ = listening.accept()
    far.setblocking(False)
    return client, far


# Handshakes


async def test_a_client_of_the_ssl_module_is_served() -> None:
    near, far = tcp_pair()
    wire = TlsWire(far, server_context())

    def converse() -> bytes:
        with client_context().wrap_socket(near, server_hostname="localhost") as client:
            client.sendall(b"hello")
            answer = client.recv(100)
            assert client.recv(100) == b""
            return answer

    async def serve() -> None:
        await handshake(wire, PATIENCE)
        await send_all(wire, (await receive(wire)).upper())
        await linger(wire, PATIENCE)
        wire.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        assert await to_thread.run_sync(converse) == b"HELLO"


async def test_a_client_gets_a_ticket_without_anything_else_being_sent(raw: Pair) -> None:
    peer, wire = raw
    await shake_hands(peer, wire)
    peer.fill()
    with pytest.raises(ssl.SSLWantReadError):
        peer.ssl.read(1)
    assert peer.ssl.session is not None
    assert peer.ssl.session.has_ticket


async def test_a_ticket_goes_with_the_answer_to_what_came_with_the_end_of_the_handshake(
    raw: Pair,
) -> None:
    peer, wire = raw

    def ask() -> None:
        for _ in range(2):
            with suppress(ssl.SSLWantReadError):
                peer.ssl.do_handshake()
                peer.ssl.write(b"hello")
                break
            peer.flush()
            peer.fill()
        peer.flush()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(to_thread.run_sync, ask)
        await handshake(wire, PATIENCE)
    assert not select.select([peer.sock], [], [], 0)[0]
    await send_all(wire, (await receive(wire)).upper())
    assert peer.receive() == b"HELLO"
    assert peer.ssl.session is not None
    assert peer.ssl.session.has_ticket


async def test_plain_http_is_no_handshake(raw: Pair) -> None:
    peer, wire = raw
    peer.sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises(ConnectionError, match="the peer speaks plain HTTP"):
        await handshake(wire, PATIENCE)


async def test_a_client_that_refuses_our_certificate_tells_why(raw: Pair) -> None:
    peer, wire = raw
    peer.ssl = ssl.create_default_context().wrap_bio(
        peer.incoming, peer.outgoing, server_hostname="localhost"
    )

    def refuse() -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            peer.shake_hands()
        peer.flush()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(to_thread.run_sync, refuse)
        with pytest.raises(ConnectionError, match="does not know the authority"):
            await handshake(wire, PATIENCE)


async def test_a_server_with_an_unknown_certificate_is_refused() -> None:
    near, far = tcp_pair()
    near.setblocking(False)
    ours = TlsWire(
        near, ssl.create_default_context(), server_side=False, server_hostname="localhost"
    )
    theirs = TlsWire(far, server_context())

    async def serve() -> None:
        with pytest.raises(ConnectionError):
            await handshake(theirs, PATIENCE)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        with pytest.raises(ConnectionError, match=r"certificate is refused: .* issuer"):
            await handshake(ours, PATIENCE)
    ours.close()
    theirs.close()


async def test_a_client_that_stops_in_the_middle_of_its_handshake(raw: Pair) -> None:
    peer, wire = raw
    with pytest.raises(ssl.SSLWantReadError):
        peer.ssl.do_handshake()
    peer.sock.sendall(peer.outgoing.read()[:100])
    with pytest.raises(TimeoutError, match=r"not complete within 0\.1 s"):
        await handshake(wire, 0.1)
    peer.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionError, match="in the middle of the TLS handshake"):
        await handshake(wire, PATIENCE)


async def test_a_handshake_that_comes_byte_by_byte(raw: Pair) -> None:
    peer, wire = raw
    with pytest.raises(ssl.SSLWantReadError):
        peer.ssl.do_handshake()

    def dribble() -> None:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in peer.outgoing.read():
            peer.sock.sendall(bytes([byte]))
        peer.shake_hands()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(to_thread.run_sync, dribble)
        await handshake(wire, PATIENCE)


# Receiving


@pytest.mark.parametrize("size", [1, 7, 125, 4096, RECORD_PAYLOAD, 65536])
@pytest.mark.parametrize("record", [1, 7, 125, 4096, RECORD_PAYLOAD])
def test_records_of_every_size_are_read_in_pieces_of_every_size(
    pair: Pair, record: int, size: int
) -> None:
    peer, wire = pair
    sent = [bytes([number]) * record for number in range(3)]
    peer.sock.sendall(b"".join(map(peer.record, sent)))
    received = b""
    while len(received) < 3 * record:
        piece = receive_now(wire, size)
        assert 0 < len(piece) <= size
        received += piece
    assert received == b"".join(sent)
    assert not wire.pending
    with pytest.raises(BlockingIOError):
        wire.recv(size)


def test_records_that_came_together_are_pending_while_the_poll_is_silent(pair: Pair) -> None:
    peer, wire = pair
    peer.sock.sendall(peer.record(b"first") + peer.record(b"second"))
    assert receive_now(wire, 100) == b"first"
    assert not is_readable(wire)
    assert wire.ssl.pending() == 0
    assert pending(wire)
    assert wire.recv(100) == b"second"
    assert not pending(wire)


def test_the_rest_of_a_record_is_pending_while_the_poll_is_silent(pair: Pair) -> None:
    peer, wire = pair
    peer.send(b"first second")
    assert receive_now(wire, 5) == b"first"
    assert not is_readable(wire)
    assert wire.incoming.pending == 0
    assert pending(wire)
    assert wire.recv(100) == b" second"


def test_a_record_that_comes_in_parts_is_received_as_a_whole(pair: Pair) -> None:
    peer, wire = pair
    record = peer.record(b"hello")
    for byte in record[:-1]:
        peer.sock.sendall(bytes([byte]))
        assert is_readable(wire, PATIENCE)
        with pytest.raises(BlockingIOError):
            wire.recv(100)
        assert not wire.pending
    peer.sock.sendall(record[-1:])
    assert receive_now(wire, 100) == b"hello"


def test_the_peers_close_notify_ends_its_side_only(pair: Pair) -> None:
    peer, wire = pair
    peer.sock.sendall(peer.record(b"last") + peer.notify_close())
    assert receive_now(wire, 100) == b"last"
    assert wire.pending  # of the end, too, no poll tells
    assert wire.recv(100) == b""
    assert not wire.pending
    assert wire.recv(100) == b""
    wire.send(b"still here")


def test_an_end_without_close_notify_ends_the_peers_side_only(pair: Pair) -> None:
    peer, wire = pair
    peer.send(b"last")
    peer.sock.shutdown(socket.SHUT_WR)
    assert receive_now(wire, 100) == b"last"
    assert receive_now(wire, 100) == b""
    assert not wire.pending
    wire.send(b"still here")
    assert peer.receive() == b"still here"


def test_a_reset_raises(pair: Pair) -> None:
    peer, wire = pair
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()
    with pytest.raises(ConnectionResetError):
        receive_now(wire, 100)


def test_garbage_raises_and_the_peer_gets_an_alert(pair: Pair) -> None:
    peer, wire = pair
    peer.sock.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
    with pytest.raises(ConnectionError, match="garbled record"):
        receive_now(wire, 100)
    assert wire.recv(100) == b""
    with pytest.raises(ConnectionError):
        wire.send(b"more")
    with pytest.raises(ssl.SSLError, match="alert bad record mac"):
        peer.receive()


@pytest.mark.parametrize("command", ["k", "K"])
async def test_a_peer_may_change_its_keys_and_ask_us_to_change_ours(
    openssl: str, command: str
) -> None:
    client, far = connect_openssl(openssl)
    wire = TlsWire(far, server_context())
    with client:
        assert client.stdin is not None
        assert client.stdout is not None
        await handshake(wire, PATIENCE)
        for number in range(3):
            client.stdin.write(f"{command}\n".encode())
            client.stdin.flush()
            await anyio.wait_readable(wire)
            with pytest.raises(BlockingIOError):
                wire.recv(100)
            client.stdin.write(f"line {number}\n".encode())
            client.stdin.flush()
            assert await receive(wire, PATIENCE) == f"line {number}\n".encode()
            await send_all(wire, f"answer {number}\n".encode())
        await linger(wire, PATIENCE)
        wire.close()
        output = await to_thread.run_sync(client.stdout.read)
    assert output.count(b"KEYUPDATE") == 3
    assert all(f"answer {number}\n".encode() in output for number in range(3))


# Sending


def test_what_a_full_socket_refused_is_counted_once_all_of_it_has_gone(pair: Pair) -> None:
    peer, wire = pair
    sent, refused = fill_up(wire, peer)
    assert wire.owed == len(refused)
    with pytest.raises(BlockingIOError):
        wire.send(refused)
    received = peer.receive_exactly(len(sent))
    assert is_writable(wire)
    # More may follow in the second call: it is sent behind what was refused.
    assert wire.send(refused + b"and more") == len(refused) + len(b"and more")
    received += peer.receive_exactly(len(refused) + len(b"and more"))
    assert received == sent + refused + b"and more"


def test_what_was_refused_cannot_be_replaced_by_less(pair: Pair) -> None:
    peer, wire = pair
    fill_up(wire, peer)
    with pytest.raises(ValueError, match="has to be sent first"):
        wire.send(b"something else")


def test_a_large_piece_is_sent_as_far_as_there_is_room(pair: Pair) -> None:
    peer, wire = pair
    data = bytes(range(256)) * 100_000
    sent = wire.send(data)
    assert 0 < sent < len(data)
    assert sent % RECORD_PAYLOAD == 0
    received = peer.receive_exactly(sent)
    while sent < len(data):
        assert is_writable(wire)
        count = wire.send(memoryview(data)[sent:])
        received += peer.receive_exactly(count)
        sent += count
    assert received == data


def test_nothing_is_sent_for_nothing(pair: Pair) -> None:
    _, wire = pair
    assert wire.send(b"") == 0
    assert wire.outgoing.pending == 0


def is_writable(wire: TlsWire) -> bool:

    return bool(select.select([], [wire], [], PATIENCE)[1])


# The end


def test_after_our_shutdown_reading_goes_on(pair: Pair) -> None:
    peer, wire = pair
    wire.shutdown(socket.SHUT_WR)
    assert peer.receive() == b""
    peer.send(b"still here")
    assert receive_now(wire, 100) == b"still here"
    with pytest.raises(ConnectionError):
        wire.send(b"too late")
    peer.sock.sendall(peer.notify_close())
    assert receive_now(wire, 100) == b""


def test_what_had_come_before_our_shutdown_is_not_lost(pair: Pair) -> None:
    peer, wire = pair
    peer.sock.sendall(peer.record(b"first part") + peer.record(b"second") + peer.record(b"third"))
    assert receive_now(wire, 5) == b"first"
    wire.shutdown(socket.SHUT_WR)
    assert wire.pending
    assert [wire.recv(3), wire.recv(100), wire.recv(100), wire.recv(100)] == [
        b" pa",
        b"rt",
        b"second",
        b"third",
    ]
    assert not wire.pending
    peer.send(b"fourth")
    assert receive_now(wire, 100) == b"fourth"


def test_a_shutdown_without_room_for_its_close_notify_is_called_again(pair: Pair) -> None:
    peer, wire = pair
    sent, refused = fill_up(wire, peer)
    with pytest.raises(BlockingIOError):
        wire.shutdown(socket.SHUT_WR)
    peer.receive_exactly(len(sent))
    assert is_writable(wire)
    wire.shutdown(socket.SHUT_WR)
    assert peer.receive_exactly(len(refused)) == refused
    assert peer.receive() == b""
    assert peer.sock.recv(1) == b""


def test_close_sends_a_close_notify(pair: Pair) -> None:
    peer, wire = pair
    wire.close()
    wire.close()
    assert peer.receive() == b""
    assert peer.sock.recv(1) == b""
    assert wire.fileno() == -1


async def test_lingering_waits_for_the_peers_end_and_reads_what_it_still_sends(pair: Pair) -> None:
    peer, wire = pair
    peer.sock.sendall(b"".join(peer.record(bytes(RECORD_PAYLOAD)) for _ in range(20)))
    wire.send(b"go away")

    def leave() -> None:
        assert peer.receive() == b"go away"
        assert peer.receive() == b""
        peer.sock.sendall(peer.record(b"but ...") + peer.notify_close())
        peer.sock.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(to_thread.run_sync, leave)
        await linger(wire, PATIENCE)
    assert wire.recv(1) == b""


async def test_lingering_waits_until_there_is_room_for_its_close_notify(pair: Pair) -> None:
    peer, wire = pair
    sent, refused = fill_up(wire, peer)

    def read_on() -> None:
        peer.receive_exactly(len(sent) + len(refused))
        assert peer.receive() == b""
        peer.sock.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(linger, wire, PATIENCE)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(to_thread.run_sync, read_on)


# Who else has to know


def test_the_socket_below_is_for_its_options_only(pair: Pair) -> None:
    _, wire = pair
    assert raw_socket(wire) is None
    assert socket_of(wire) is wire.sock
    assert socket_of(wire.sock) is wire.sock
    assert not pending(wire.sock)


async def test_a_client_that_waits_for_an_answer_is_watched_though_polls_are_silent(
    pair: Pair,
) -> None:
    peer, wire = pair
    watch = ClientWatch(Services())
    reader = RequestReader(wire, RequestLimits(PATIENCE, 1000, 1000, 10, PATIENCE, 0))
    left = anyio.Event()
    records = peer.record(b"GET / HTTP/1.0\r\n\r\nfirst"), peer.record(b"second")
    peer.sock.sendall(b"".join(records) + peer.notify_close())
    assert await reader.read_head(PATIENCE, PATIENCE) is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.serve, lambda: None)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(PATIENCE):
            await watch.during(left.wait(), wire, reader, left.set)
        tasks.cancel_scope.cancel()
    assert reader.received == b"firstsecond"
