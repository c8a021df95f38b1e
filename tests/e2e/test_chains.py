"""easews in front of nginx and HAProxy, and behind them: WebSocket sessions, plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.peers import Chains
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
def socket(to_library: Chains, request: pytest.FixtureRequest) -> str:
    """The URL of the echo backend behind a chain."""
    return f"ws://{LOOPBACK}:{to_library.port(*request.param)}"


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_come_through(
    socket: str, backend: LibraryBackend, compression: str | None
) -> None:
    chat = Subprotocol("chat")
    with connect(f"{socket}/echo", compression=compression, subprotocols=[chat]) as ws:
        assert ws.subprotocol == "chat"
        assert bool(ws.protocol.extensions) == (compression == "deflate")
        for message in MESSAGES:
            ws.send(message)
            assert ws.recv(PATIENCE) == message
        assert ws.ping().wait(PATIENCE)
        ws.close(4999, "à bientôt")
    assert backend.ending() == (4999, "à bientôt")


def test_the_backends_close_reaches_the_client(socket: str, backend: LibraryBackend) -> None:
    with connect(f"{socket}/close?code=4001&reason=elsewhere") as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv(PATIENCE)
        assert (ws.close_code, ws.close_reason) == (4001, "elsewhere")
    assert backend.ending() == (4001, "elsewhere")


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_refusal_reaches_the_client(socket: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{socket}/refuse/{status}")
    assert caught.value.response.status_code == status
    assert caught.value.response.headers["X-Reason"] == "closed today"
    assert caught.value.response.body == b"not you\n"


def test_a_lost_backend_ends_the_session(socket: str, backend: LibraryBackend) -> None:
    with connect(f"{socket}/vanish") as ws:
        with pytest.raises(ConnectionClosed):
            ws.recv(PATIENCE)
        assert ws.close_code in (1006, 1011)  # a peer in front of the client tells no reason
    backend.ending()
