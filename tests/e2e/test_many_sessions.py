"""Two thousand sessions at once, none of which may see an error."""

from __future__ import annotations

import resource
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from tests.e2e import raw
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.raw import Peer

SESSIONS = 2000
ROUNDS = 3
#: Each end of each session is a descriptor of this process, and some more.
DESCRIPTORS = 2 * SESSIONS + 200
PAYLOAD = b"%08d"
FRAME = len(raw.frame(raw.TEXT, PAYLOAD % 0))


@pytest.fixture
def enough_descriptors() -> Iterator[None]:
    """Room for both ends of every session in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(DESCRIPTORS, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class EchoThread:
    """A backend that is quick because it knows what will come: frames of one size, zero masks."""

    def __init__(self) -> None:
        self._listener = socket.create_server((LOOPBACK, 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._stop, stopped = socket.socketpair()
        self._selector.register(stopped, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.data(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        peer = Peer(sock)
        peer.send(raw.answer_101(peer.head()))
        self._selector.register(sock, selectors.EVENT_READ, self._echo)

    def _echo(self, sock: socket.socket) -> None:
        data = sock.recv(65536)
        if data[:1] != b"\x81":
            # The Close, or a connection that was cut: the session is over.
            self._selector.unregister(sock)
            if data:
                sock.sendall(raw.close_frame(1000, masked=False))
            sock.close()
            return
        for at in range(0, len(data), FRAME):
            sock.sendall(raw.frame(raw.TEXT, data[at + 6 : at + FRAME], masked=False))

    def close(self) -> None:
        self._stop.send(b"x")
        self._thread.join(PATIENCE)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        self._stop.close()


@pytest.fixture
def echo() -> Iterator[EchoThread]:
    echo = EchoThread()
    yield echo
    echo.close()


def test_two_thousand_sessions_echo_without_an_error(
    loop: str, tmp_path: Path, echo: EchoThread, enough_descriptors: None
) -> None:
    text = config(free_port(), proxied("/ws", f"ws://{LOOPBACK}:{echo.port}"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        peers = [open_session(gateway) for _ in range(SESSIONS)]
        for round_ in range(ROUNDS):
            for number, peer in enumerate(peers):
                peer.send(raw.frame(raw.TEXT, PAYLOAD % (number + round_)))
            for number, peer in enumerate(peers):
                assert peer.frame().payload == PAYLOAD % (number + round_)
        for peer in peers:
            peer.send(raw.close_frame(1000))
        for peer in peers:
            assert peer.frame().close[0] == 1000
            assert peer.rest() == b""
            peer.close()
        assert not gateway.log.having("ERROR")


def open_session(gateway: Gateway) -> Peer:
    peer = Peer(socket.create_connection((LOOPBACK, gateway.port)))
    peer.send(raw.handshake("/ws"))
    assert peer.head().status == 101
    return peer
