"""One session floods the gateway; the others go on, and new ones are let in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from statistics import median
from threading import Event, Thread

import pytest
from tests.e2e import raw
from tests.e2e.gateway import PATIENCE, Gateway
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.raw import Peer, RawBackend

MIB = 1024 * 1024
#: What may pass of the flood while one message goes there and back, and while a session is opened,
#: at the median. How long that is depends on the machine, and so does how much of a flood it
#: relays: 5 MiB pass during a handshake on two cores, 17 MiB when these are busy otherwise, and
#: 26 MiB or more of any flood when a turn of the relay takes a hundred times as long as it should.
DURING_MESSAGE = 8 * MIB
DURING_HANDSHAKE = 24 * MIB

EMPTY = b"\x80\0\0\0\0"
FLOODS = {
    "pings": (b"", b"\x89" + EMPTY),
    "pongs": (b"", b"\x8a" + EMPTY),
    "empty messages": (b"", b"\x82" + EMPTY),
    "fragments without end": (b"\x02" + EMPTY, b"\x00\x81\0\0\0\0x"),
    "a message in nine bytes each time": (b"", b"\x82\x83\0\0\0\0abc"),
}


class Flood:
    """A client that sends nothing but this, and a backend that reads all of it."""

    def __init__(self, client: Peer, backend: Peer, start: bytes, frame: bytes) -> None:
        self._client = client
        self._backend = backend
        self._bytes = frame * (65536 // len(frame) + 1)
        self._over = Event()
        self.passed = 0
        client.send(start)
        self._threads = [Thread(target=self._send), Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._over.is_set():
            self._client.send(self._bytes)

    def _receive(self) -> None:
        with suppress(ConnectionError):
            while data := self._backend.sock.recv(MIB):
                self.passed += len(data)

    def stop(self) -> None:
        self._over.set()
        sending, receiving = self._threads
        sending.join()
        self._backend.sock.shutdown(socket.SHUT_RDWR)
        receiving.join()


@pytest.fixture(params=FLOODS)
def flood(request: pytest.FixtureRequest, client: Peer, raw_backend: RawBackend) -> Iterator[Flood]:
    client.send(raw.handshake("/raw"))
    peer, _ = raw_backend.accept_session()
    assert client.head().status == 101
    flood = Flood(client, peer, *FLOODS[request.param])
    yield flood
    flood.stop()


def test_other_sessions_go_on(gateway: Gateway, backend: LibraryBackend, flood: Flood) -> None:
    passed: list[int] = []
    with connect(gateway.ws("/echo")) as ws:
        for number in range(100):
            before = flood.passed
            ws.send(f"message {number}")
            assert ws.recv(PATIENCE) == f"message {number}"
            passed.append(flood.passed - before)
    assert backend.ending() == (1000, "")
    assert median(passed) < DURING_MESSAGE
    assert sum(passed) > 0  # it has gone on, too


def test_handshakes_succeed(gateway: Gateway, backend: LibraryBackend, flood: Flood) -> None:
    passed: list[int] = []
    for _ in range(5):
        before = flood.passed
        with connect(gateway.ws("/echo")):
            passed.append(flood.passed - before)
        assert backend.ending() == (1000, "")
    assert median(passed) < DURING_HANDSHAKE
