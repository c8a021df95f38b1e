"""easews in front of nginx and HAProxy, and behind them: WebSocket sessions, plain HTTP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.peers import Chains
from tests.e2e.raw import Peer, head
from tests.e2e.recorder import Recorder, Seen
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

CHAINS = [
    ("nginx", "easews"),
    ("haproxy", "easews"),
    ("easews", "nginx"),
    ("easews", "haproxy"),
    ("easews", "nginx", "easews", "haproxy"),
]
MESSAGES: list[str | bytes] = [
    "hello",
    "",
    b"",
    "grüße, 世界",
    b"\0" * 125,
    "x" * 126,
    b"\0" * 65536,
    "x" * (1 << 20),
]


@pytest.fixture(scope="module")
def to_library(
    loop: str, peers: None, backend: LibraryBackend, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chains]:
    chains = Chains(backend.port, loop, tmp_path_factory.mktemp)
    yield chains
    chains.close()


@pytest.fixture(params=CHAINS, ids=" ".join)
def url(to_library: Chains, request: pytest.FixtureRequest) -> str:
    """The URL of the echo backend behind a chain."""
    return f"ws://{LOOPBACK}:{to_library.port(*request.param)}"


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_come_through(url: str, backend: LibraryBackend, compression: str | None) -> None:
    chat = Subprotocol("chat")
    with connect(f"{url}/echo", compression=compression, subprotocols=[chat]) as ws:
        assert ws.subprotocol == "chat"
        assert bool(ws.protocol.extensions) == (compression == "deflate")
        for message in MESSAGES:
            ws.send(message)
            assert ws.recv(PATIENCE) == message
        assert ws.ping().wait(PATIENCE)
        ws.close(4999, "à bientôt")
    assert backend.ending() == (4999, "à bientôt")


def test_the_backends_close_reaches_the_client(url: str, backend: LibraryBackend) -> None:
    with connect(f"{url}/close?code=4001&reason=elsewhere") as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv(PATIENCE)
        assert (ws.close_code, ws.close_reason) == (4001, "elsewhere")
    assert backend.ending() == (4001, "elsewhere")


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_refusal_reaches_the_client(url: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{url}/refuse/{status}")
    assert caught.value.response.status_code == status
    assert caught.value.response.headers["X-Reason"] == "closed today"
    assert caught.value.response.body == b"not you\n"


def test_a_lost_backend_ends_the_session(url: str, backend: LibraryBackend) -> None:
    with connect(f"{url}/vanish") as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv(PATIENCE)
        assert ws.close_code in (1006, 1011)  # a peer in front of the client tells no reason
    backend.ending()


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture(scope="module")
def to_recorder(
    loop: str, peers: None, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chains]:
    chains = Chains(recorder.port, loop, tmp_path_factory.mktemp)
    yield chains
    chains.close()


@pytest.fixture(params=CHAINS, ids=" ".join)
def port(to_recorder: Chains, request: pytest.FixtureRequest) -> int:
    """Where a client finds the recording backend behind a chain."""
    return to_recorder.port(*request.param)


def test_one_connection_carries_bodies_of_every_framing(port: int, recorder: Recorder) -> None:
    client = HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    host = f"{LOOPBACK}:{port}"
    for size in (0, 1, 5, 65536, 3_000_000):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        halves = [half for half in (body[: size // 2], body[size // 2 :]) if half]
        for framed, fields in ((body, {"Content-Length": str(size)}), (iter(halves), {})):
            chunked = not fields
            client.request("POST", "/up?load", framed, fields, encode_chunked=chunked)
            answer = client.getresponse()
            assert (answer.status, answer.will_close) == (200, False)
            assert answer.read() == f"POST /up?load {size} bytes\n".encode()
            (seen,) = recorder.take()
            assert seen._replace(host=host) == Seen("POST", "/up?load", body, host)
    client.close()


def test_requests_in_a_row_are_answered_in_their_order(port: int, recorder: Recorder) -> None:
    host = ("Host", "example.test")
    post = head("POST /body HTTP/1.1", [host, ("Transfer-Encoding", "chunked")])
    asked = [head(f"GET /{number} HTTP/1.1", [host]) for number in range(5)]
    asked += [post + b"5\r\nhello\r\n0\r\n\r\n", head("DELETE /last HTTP/1.1", [host])]
    with Peer(socket.create_connection((LOOPBACK, port))) as client:
        client.send(b"".join(asked))
        answers = []
        for _ in asked:
            size = int(client.head()["Content-Length"])
            answers.append(client.receive(size).decode().strip())
    gets = [f"GET /{number} 0 bytes" for number in range(5)]
    assert answers == [*gets, "POST /body 5 bytes", "DELETE /last 0 bytes"]
    assert [seen.target for seen in recorder.take()] == [one.split()[1] for one in answers]


def test_an_answer_to_head_has_no_body(port: int, recorder: Recorder) -> None:
    client = HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    for method, size in (("HEAD", 0), ("GET", 14)):
        client.request(method, "/")
        answer = client.getresponse()
        assert (answer.status, len(answer.read())) == (200, size)
        assert answer.headers["Content-Length"] in ("14", "15")
    client.close()
    assert [seen.method for seen in recorder.take()] == ["HEAD", "GET"]
