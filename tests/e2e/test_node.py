"""Node's `ws` as client and as backend, crossed with Python's `websockets`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.gateway import PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PROGRAMS = Path(__file__).parent / "node"
MESSAGES = ["hello", "", "grüße, 世界", 0, 125, 126, 65536, 1 << 20]


@pytest.fixture(scope="module")
def node_port(node: str) -> Iterator[int]:
    """The port of node's echo backend."""
    command = [node, str(PROGRAMS / "backend.js")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.fixture(scope="module")
def node_gateway(
    loop: str, node_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    text = config(free_port(), proxied("/node", f"ws://127.0.0.1:{node_port}"))
    with running(text, tmp_path_factory.mktemp("node"), "--backend", loop) as gateway:
        yield gateway


def node_client(node: str, url: str, **wish: Any) -> dict[str, Any]:
    """Run one session in node: what it saw."""
    argument = json.dumps({"url": url, "messages": [], "protocols": [], **wish})
    run = subprocess.run(
        [node, str(PROGRAMS / "client.js"), argument],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    seen: dict[str, Any] = json.loads(run.stdout)
    return seen


@pytest.mark.parametrize("deflate", [True, False])
def test_a_node_client_speaks_with_a_python_backend(
    node: str, gateway: Gateway, backend: LibraryBackend, deflate: bool
) -> None:
    wish = {"messages": MESSAGES, "protocols": ["superchat", "chat"], "close": [4999, "bye"]}
    seen = node_client(node, gateway.ws("/echo"), deflate=deflate, **wish)
    assert seen["echoes"] == MESSAGES
    assert seen["protocol"] == "superchat"
    assert ("permessage-deflate" in seen["extensions"]) == deflate
    assert seen["close"] == [4999, "bye"]
    assert backend.ending() == (4999, "bye")


@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_python_client_speaks_with_a_node_backend(
    node_gateway: Gateway, compression: str | None
) -> None:
    chat = Subprotocol("chat")
    url = node_gateway.ws("/node")
    with connect(url, compression=compression, subprotocols=[chat]) as ws:
        assert ws.subprotocol == "chat"
        assert bool(ws.protocol.extensions) == (compression == "deflate")
        for message in ("hello", "", b"", "grüße", bytes(65536), "x" * (1 << 20)):
            ws.send(message)
            assert ws.recv(PATIENCE) == message
        assert ws.ping().wait(PATIENCE)


@pytest.mark.parametrize("deflate", [True, False])
def test_node_speaks_with_node(node: str, node_gateway: Gateway, deflate: bool) -> None:
    wish = {"messages": MESSAGES, "close": [1000, "done"]}
    seen = node_client(node, node_gateway.ws("/node"), deflate=deflate, **wish)
    assert seen["echoes"] == MESSAGES
    assert ("permessage-deflate" in seen["extensions"]) == deflate
    assert seen["close"] == [1000, "done"]


@pytest.mark.parametrize(
    ("close", "ending"),
    [
        ([1000, "done"], (1000, "done")),
        ([3000, "à bientôt"], (3000, "à bientôt")),
        ([], (1005, "")),
    ],
)
def test_a_node_clients_close_reaches_a_python_backend(
    node: str,
    gateway: Gateway,
    backend: LibraryBackend,
    close: list[Any],
    ending: tuple[int, str],
) -> None:
    seen = node_client(node, gateway.ws("/echo"), close=close)
    assert backend.ending() == ending
    assert seen["close"] == list(ending)


def test_a_node_backends_close_reaches_every_client(node: str, node_gateway: Gateway) -> None:
    url = node_gateway.ws("/node/close")
    ending = [4001, "go elsewhere, s\u2019il te plaît"]
    assert node_client(node, url)["close"] == ending
    with connect(url) as ws, pytest.raises(ConnectionClosed):
        ws.recv(PATIENCE)
    assert [ws.close_code, ws.close_reason] == ending


@pytest.mark.parametrize("status", [302, 401, 403])
def test_a_node_client_sees_the_status_of_a_refusal(
    node: str, gateway: Gateway, status: int
) -> None:
    assert node_client(node, gateway.ws(f"/echo/refuse/{status}"))["status"] == status
