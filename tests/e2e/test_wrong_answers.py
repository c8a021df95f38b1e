"""Malformed, ambiguous and endless answers of a backend: what the client gets, and the next client.

Between both is one kept connection, if it was kept: bytes behind an answer are nobody's answer.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, running
from tests.e2e.peers import easews_config
from tests.e2e.raw import Peer, head

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = OK + b"Content-Length: 4\r\n\r\nevil"

#: What the backend answers, and then the status and the body that the client gets. None stands
#: for the body of easews' own answer.
ANSWERS: dict[str, tuple[bytes, int, bytes | None]] = {
    "length and chunks": (
        CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        502,
        None,
    ),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 6\r\n\r\nokevil", 502, None),
    "a negative length": (OK + b"Content-Length: -1\r\n\r\n" + SMUGGLED, 502, None),
    "another coding": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 502, None),
    "a folded field": (OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok", 502, None),
    "bare LFs": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 502, None),
    "a bare LF in a value": (OK + b"X: a\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok", 502, None),
    "a status of two digits": (b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok", 502, None),
    "a switch of protocols": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 502, None),
    "no HTTP": (b"220 smtp.test ESMTP\r\n\r\n", 502, None),
    "a head of a megabyte": (OK + b"X: " + b"a" * (1 << 20), 502, None),
    "a second answer behind": (OK + b"Content-Length: 2\r\n\r\nok" + SMUGGLED, 200, b"ok"),
    "an answer behind a 204": (b"HTTP/1.1 204 No Content\r\n\r\n" + SMUGGLED, 204, b""),
    "a body behind a 304": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
        304,
        b"",
    ),
    "a length for this hop": (
        OK + b"Connection: Content-Length\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
    ),
    "trailers that frame": (
        CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 5\r\nSet-Cookie: evil\r\n\r\n",
        200,
        b"2\r\nok\r\n0\r\n\r\n",
    ),
}


class Backend(ThreadingTCPServer):
    """Answers /wrong with `answer`, on a connection that stays open, and all else honestly."""

    daemon_threads = True
    answer = b""


class _Connection(BaseRequestHandler):
    request: socket.socket
    server: Backend

    def handle(self) -> None:
        received = b""
        try:
            while data := self.request.recv(65536):
                received += data
                if received.endswith(b"\r\n\r\n"):
                    honest = OK + b"Content-Length: 6\r\n\r\nhonest"
                    wrong = received.startswith(b"GET /wrong ")
                    self.request.sendall(self.server.answer if wrong else honest)
                    received = b""
        except ConnectionError:
            pass  # easews has read enough


@pytest.fixture(scope="module")
def wrong() -> Iterator[Backend]:
    with Backend((LOOPBACK, 0), _Connection) as backend:
        thread = Thread(target=backend.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield backend
        backend.shutdown()
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def front(loop: str, wrong: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    text = easews_config(wrong.server_address[1])
    with running(text, tmp_path_factory.mktemp("front"), "--backend", loop) as gateway:
        yield gateway


def ask(front: Gateway, path: str) -> tuple[int, bytes]:
    with Peer(socket.create_connection((LOOPBACK, front.port))) as client:
        client.send(head(f"GET {path} HTTP/1.1", [("Host", "a"), ("Connection", "close")]))
        return client.head().status, client.rest()


@pytest.mark.parametrize("name", ANSWERS)
def test_a_wrong_answer_harms_neither_its_client_nor_the_next(
    front: Gateway, wrong: Backend, name: str
) -> None:
    wrong.answer, status, body = ANSWERS[name]
    got, content = ask(front, "/wrong")
    assert got == status
    assert body is None or content == body
    assert b"evil" not in content
    assert ask(front, "/honest") == (200, b"honest")
