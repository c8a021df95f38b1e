"""Python's `websockets` on both ends: the whole of what an application does with a session."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.e2e.gateway import PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import REFUSAL_BODY, LibraryBackend, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

CHAT, SUPERCHAT = Subprotocol("chat"), Subprotocol("superchat")
MESSAGES: list[str | bytes] = [
    "hello",
    "",
    b"",
    "grüße, 世界",
    b"\x00\xff" * 60,
    bytes(65535),
    bytes(65536),
    os.urandom(1 << 20),
    "x" * (1 << 20),
]


def ending_of(ws: ClientConnection) -> tuple[int | None, str | None]:
    """Read on to the end of the session: its Close code and reason."""
    with suppress(ConnectionClosed):
        while True:
            ws.recv(PATIENCE)
    return ws.close_code, ws.close_reason


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_of_every_kind_come_back_as_they_were(
    gateway: Gateway, backend: LibraryBackend, compression: str | None
) -> None:
    with connect(gateway.ws("/echo"), compression=compression) as ws:
        assert bool(ws.protocol.extensions) == (compression == "deflate")
        for message in MESSAGES:
            ws.send(message)
            assert ws.recv(PATIENCE) == message
    assert backend.ending() == (1000, "")


@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_fragmented_message_keeps_its_fragments(
    gateway: Gateway, backend: LibraryBackend, compression: str | None
) -> None:
    fragments = ["one ", "", "two ", "three"]
    with connect(gateway.ws("/echo/parts"), compression=compression) as ws:
        ws.send(fragments)
        # The library ends a fragmented message with an empty frame.
        assert [part for part in ws.recv_streaming() if part] == [f for f in fragments if f]
    assert backend.ending()[0] == 1000


@pytest.mark.parametrize(
    ("offered", "chosen"), [(None, None), ([CHAT], CHAT), ([SUPERCHAT, CHAT], SUPERCHAT)]
)
def test_the_backend_chooses_the_subprotocol(
    gateway: Gateway,
    backend: LibraryBackend,
    offered: list[Subprotocol] | None,
    chosen: Subprotocol | None,
) -> None:
    with connect(gateway.ws("/echo"), subprotocols=offered) as ws:
        assert ws.subprotocol == chosen
    assert backend.ending()[0] == 1000


def test_both_sides_answer_each_others_pings(gateway: Gateway, backend: LibraryBackend) -> None:
    with connect(gateway.ws("/echo")) as ws:
        assert ws.ping(b"from the client").wait(PATIENCE)
    assert backend.ending()[0] == 1000
    with connect(gateway.ws("/echo/ping")) as ws:
        assert ws.recv(PATIENCE) == "answered"
        ending_of(ws)
    assert backend.ending()[0] == 1000


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_the_clients_close_reaches_the_backend(
    gateway: Gateway, backend: LibraryBackend, code: int
) -> None:
    with connect(gateway.ws("/echo")) as ws:
        ws.close(code, "that is all, merci à tous")
    assert backend.ending() == (code, "that is all, merci à tous")


@pytest.mark.parametrize("code", [1000, 1011, 3000, 4999])
def test_the_backends_close_reaches_the_client(
    gateway: Gateway, backend: LibraryBackend, code: int
) -> None:
    with connect(gateway.ws(f"/echo/close?code={code}&reason=go+elsewhere")) as ws:
        assert ending_of(ws) == (code, "go elsewhere")
    assert backend.ending() == (code, "go elsewhere")


def test_the_backends_close_without_a_code_stays_one(
    gateway: Gateway, backend: LibraryBackend
) -> None:
    with connect(gateway.ws("/echo/no-code")) as ws:
        assert ending_of(ws) == (1005, "")
    assert backend.ending()[0] == 1005


def test_a_backend_that_vanishes_is_reported_to_the_client(
    gateway: Gateway, backend: LibraryBackend
) -> None:
    with connect(gateway.ws("/echo/vanish")) as ws:
        assert ending_of(ws) == (1011, "the backend was lost")
    assert backend.ending()[0] == 1006


REFUSALS = {
    401: ("WWW-Authenticate", 'Basic realm="backend"'),
    403: ("X-Reason", "closed today"),
    500: ("X-Reason", "closed today"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_backends_refusal_is_passed_on_with_headers_and_body(
    gateway: Gateway, backend: LibraryBackend, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.ws(f"/echo/refuse/{status}"))
    response = refused.value.response
    name, value = REFUSALS[status]
    assert (response.status_code, response.headers[name]) == (status, value)
    assert response.body == REFUSAL_BODY


def test_a_backend_that_is_down_is_a_502(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.ws("/down"))
    assert refused.value.response.status_code == 502


def test_the_next_server_is_asked_when_one_refuses(
    gateway: Gateway, backend: LibraryBackend
) -> None:
    for _ in range(4):
        with connect(gateway.ws("/second")) as ws:
            ws.send("hello")
            assert ws.recv(PATIENCE) == "hello"
        assert backend.ending()[0] == 1000


@contextmanager
def echo_process(port: int) -> Iterator[subprocess.Popen[str]]:
    """The demo's echo backend, as a process that can be killed."""
    script = Path(__file__).parents[2] / "scripts" / "echo.py"
    command = [sys.executable, str(script), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "echoing" in process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_killing_the_backend_never_stops_the_server(loop: str, tmp_path: Path) -> None:
    port = free_port()
    text = config(free_port(), proxied("/echo", f"ws://127.0.0.1:{port}"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        with echo_process(port) as process, connect(gateway.ws("/echo")) as ws:
            ws.send("hello")
            assert ws.recv(PATIENCE) == "hello"
            process.kill()
            assert ending_of(ws) == (1011, "the backend was lost")
        with pytest.raises(InvalidStatus, match="502"):
            connect(gateway.ws("/echo"))
        with echo_process(port), connect(gateway.ws("/echo")) as again:
            again.send("hello again")
            assert again.recv(PATIENCE) == "hello again"
