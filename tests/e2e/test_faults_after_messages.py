"""A client that breaks the protocol behind valid messages gets their answers, then its Close.

The ten cases are those of the Autobahn suite in which that can be seen, by their numbers there.
The backend is one that answers in the order of what comes: the demo's, on wsproto.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Thread
from typing import NamedTuple

import pytest
from tests.e2e import raw
from tests.e2e.gateway import LOOPBACK, Gateway, config, free_port, proxied, running
from tests.e2e.raw import Peer, frame

from echo import EchoServer

MESSAGE = b"Hello, world!"
HELLO = frame(raw.TEXT, MESSAGE)
PING = frame(raw.PING)
RESERVED_BIT = bytes([0xA1]) + HELLO[1:]


class Case(NamedTuple):
    frames: tuple[bytes, ...]
    at_once: int = 1 << 20  # how many bytes are sent at once


def reserved(opcode: int, payload: bytes = b"") -> tuple[bytes, ...]:
    return HELLO, frame(opcode, payload), PING


CASES = {
    "3.2": Case((HELLO + RESERVED_BIT + PING,)),
    "3.3": Case((HELLO, RESERVED_BIT, PING)),
    "3.4": Case((HELLO + RESERVED_BIT + PING,), at_once=1),
    "4.1.3": Case(reserved(0x5)),
    "4.1.4": Case(reserved(0x6, MESSAGE)),
    "4.1.5": Case(reserved(0x7, MESSAGE), at_once=1),
    "4.2.3": Case(reserved(0xD)),
    "4.2.4": Case(reserved(0xE, MESSAGE)),
    "4.2.5": Case(reserved(0xF, MESSAGE), at_once=1),
    "5.15": Case(
        (
            frame(raw.TEXT, MESSAGE[:6], fin=False),
            frame(0x0, MESSAGE[6:]),
            frame(0x0, b"a continuation of nothing", fin=False),
            frame(raw.TEXT, b"not seen"),
        )
    ),
}


@pytest.fixture(scope="module")
def echoing(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of the echo backend."""
    with EchoServer(0) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            text = config(free_port(), proxied("/", f"ws://{LOOPBACK}:{server.server_address[1]}"))
            with running(text, tmp_path_factory.mktemp(loop), "--backend", loop) as gateway:
                yield gateway
        finally:
            server.shutdown()
            serving.join()


def talk(peer: Peer, case: Case) -> bytes:
    """Send it all; what has come back as one message, when the Close 1002 follows."""
    for data in case.frames:
        for start in range(0, len(data), case.at_once):
            peer.send(data[start : start + case.at_once])
    echoed, opcode = b"", raw.TEXT
    while (answer := peer.frame()).opcode != raw.CLOSE:
        assert answer.opcode == opcode
        echoed, opcode = echoed + answer.payload, 0x0
    assert answer.close[0] == 1002
    assert peer.rest() == b""
    return echoed


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_answers_come_and_then_the_close(echoing: Gateway, case: Case) -> None:
    with Peer(socket.create_connection((LOOPBACK, echoing.port))) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(raw.handshake("/"))
        assert client.head().status == 101
        assert talk(client, case) == MESSAGE
