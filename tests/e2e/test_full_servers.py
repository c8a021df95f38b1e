"""Servers that have as many sessions as they may: who waits, who is refused, who comes next."""

from __future__ import annotations

import socket
from pathlib import Path
from select import select

from tests.e2e import raw
from tests.e2e.gateway import (
    LOOPBACK,
    PATIENCE,
    Gateway,
    Route,
    config,
    free_port,
    proxied,
    running,
)
from tests.e2e.raw import Head, Peer, RawBackend
from tests.e2e.test_many_sessions import EchoThread, echo

__all__ = ["echo"]  # a fixture

MOST = 300
SERVER_FULL = "every server of the pool is full"
CLOSE = raw.close_frame(1000)


def with_queue(prefix: str, port: int, size: int, timeout: str, most: int = MOST) -> Route:
    queue = {"size": size, "timeout": timeout}
    return proxied(prefix, f"ws://{LOOPBACK}:{port}", maxConnections=most, queue=queue)


def asking(gateway: Gateway, path: str) -> Peer:
    peer = Peer(socket.create_connection((LOOPBACK, gateway.port)))
    peer.send(raw.handshake(path))
    return peer


def answered(gateway: Gateway, path: str) -> tuple[Peer, Head]:
    peer = asking(gateway, path)
    return peer, peer.head()


def refused(gateway: Gateway, path: str) -> None:
    peer, head = answered(gateway, path)
    with peer:
        assert (head.status, head["Retry-After"]) == (503, "1")


def opened(gateway: Gateway, path: str) -> Peer:
    peer, head = answered(gateway, path)
    assert head.status == 101
    return peer


def leave(*peers: Peer) -> None:
    for peer in peers:
        peer.send(CLOSE)
    for peer in peers:
        peer.rest()
        peer.close()


def has_an_answer(*peers: Peer, patience: float = PATIENCE) -> list[Peer]:
    ready, _, _ = select([peer.sock for peer in peers], [], [], patience)
    return [peer for peer in peers if peer.sock in ready]


def test_the_301st_session_waits_or_is_refused(loop: str, tmp_path: Path, echo: EchoThread) -> None:
    """Three pools have the same server, so that they share what it has to do."""
    text = config(
        free_port(),
        proxied("/refused", f"ws://{LOOPBACK}:{echo.port}", maxConnections=MOST),
        with_queue("/patient", echo.port, size=1, timeout="1h"),
        with_queue("/hurried", echo.port, size=1, timeout="50ms"),
    )
    with running(text, tmp_path, "--backend", loop) as gateway:
        sessions = [opened(gateway, "/refused") for _ in range(MOST)]
        refused(gateway, "/refused")
        gateway.log.wait_for(SERVER_FULL, "and so is its queue")
        refused(gateway, "/hurried")
        gateway.log.wait_for(SERVER_FULL, "for 0.05 s (queue.timeout)")

        both = [asking(gateway, "/patient") for _ in range(2)]
        (late,) = has_an_answer(*both)  # one waits, for whom the other has no room
        assert late.head().status == 503
        (waiting,) = (peer for peer in both if peer is not late)
        assert not has_an_answer(waiting, patience=0)
        leave(sessions.pop())
        assert waiting.head().status == 101
        refused(gateway, "/refused")  # it has taken the place of the one that was closed

        leave(*sessions, waiting)
        leave(opened(gateway, "/refused"))
        late.close()


def close_of_the_client(client: Peer, backend: Peer) -> None:
    client.send(CLOSE)
    backend.send(raw.close_frame(1000, masked=False))


def loss_of_the_client(client: Peer, backend: Peer) -> None:
    client.reset()
    backend.frame()
    backend.send(raw.close_frame(1001, masked=False))


def close_of_the_backend(client: Peer, backend: Peer) -> None:
    backend.send(raw.close_frame(1000, masked=False))
    client.frame()
    client.send(CLOSE)


def loss_of_the_backend(client: Peer, backend: Peer) -> None:
    backend.reset()
    client.frame()
    client.send(CLOSE)


def test_however_a_session_ends_the_next_one_takes_its_place(loop: str, tmp_path: Path) -> None:
    backend = RawBackend(free_port())
    text = config(free_port(), with_queue("/ws", backend.port, size=1, timeout="1h", most=1))
    with running(text, tmp_path, "--backend", loop) as gateway:
        client = asking(gateway, "/ws")
        peer, _ = backend.accept_session()
        assert client.head().status == 101
        for end in (
            close_of_the_client,
            loss_of_the_client,
            close_of_the_backend,
            loss_of_the_backend,
        ):
            waiting = asking(gateway, "/ws")
            assert not backend.was_reached()
            end(client, peer)
            peer.close()
            client.close()
            client, (peer, _) = waiting, backend.accept_session()
            assert client.head().status == 101
        client.close()
        backend.close()


def test_a_handshake_that_fails_leaves_its_place_to_the_next(loop: str, tmp_path: Path) -> None:
    backend = RawBackend(free_port())
    text = config(free_port(), with_queue("/ws", backend.port, size=1, timeout="1h", most=1))
    with running(text, tmp_path, "--backend", loop) as gateway:
        for answer, status in (
            (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
            (b"nonsense\r\n\r\n", 502),
            (b"", 502),
        ):
            first = asking(gateway, "/ws")
            peer = backend.accept()
            peer.head()
            waiting = asking(gateway, "/ws")
            assert not backend.was_reached()
            peer.send(answer)
            peer.close()
            assert first.head().status == status
            next_one, _ = backend.accept_session()
            assert waiting.head().status == 101
            close_of_the_client(waiting, next_one)
            next_one.close()
            waiting.close()
            first.close()
        backend.close()
