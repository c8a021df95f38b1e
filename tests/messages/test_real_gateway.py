"""Each filter in a real gateway, with `websockets` at both ends, which compress."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TypeVar

import pytest
from anyio import to_thread
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from easews.testing import gateway
from easews_messages.reading import IN_PLACE

T = TypeVar("T")
CONFIG = """
kind: HTTPServer
name: gateway
port: 8080
rules: [{paths: [{pathPrefix: /, backend: chat, clientMaxBodySize: -1}]}]
---
kind: Pipeline
name: chat
flow: [{filter: tried}, {filter: proxy}]
filters:
- name: tried
  %s
- {kind: WebSocketProxy, name: proxy, pools: [{servers: [{url: "ws://127.0.0.1:%d"}]}]}
"""


def echo(peer: ServerConnection) -> None:
    for message in peer:
        peer.send(message)


@pytest.fixture
def backend() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with serve(echo, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


async def talk(entry: str, backend: int, client: Callable[[ClientConnection], T]) -> T:
    """What `client` returns, which talks through a filter of this entry."""

    def connected() -> T:
        url = f"ws://127.0.0.1:{running.address.port}"
        with connect(url, proxy=None) as socket:
            assert socket.response is not None
            assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
            return client(socket)

    async with gateway(CONFIG % (entry.replace("\n", "\n  "), backend)) as running:
        return await to_thread.run_sync(connected)


def echoed(socket: ClientConnection, *messages: str | bytes) -> list[str | bytes]:
    for message in messages:
        socket.send(message)
    return [socket.recv(timeout=10) for _ in messages]


def close_of(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosedError) as caught:
        socket.recv(timeout=10)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def test_the_validator_lets_pass_what_fits(backend: int) -> None:
    entry = "kind: MessageValidator\nschema: {properties: {n: {type: integer}}}\nfrom: both"
    messages: list[str | bytes] = [
        '{ "n": 1 }',
        b"\x00",
        json.dumps({"text": "é" * 100_000}),
        '{"n": 2}',
    ]

    def client(socket: ClientConnection) -> tuple[int, str]:
        assert echoed(socket, *messages) == messages
        socket.send(iter(['{"n": ', '"secret"', "}"]))  # in fragments
        return close_of(socket)

    assert await talk(entry, backend, client) == (1008, "$.n is not of type integer")


async def test_the_validator_answers_in_place_of_the_backend(backend: int) -> None:
    entry = "kind: MessageValidator\nschema: {type: object}\nonInvalid: answer"

    def client(socket: ClientConnection) -> list[str | bytes]:
        return echoed(socket, "[]", "{}")

    assert await talk(entry, backend, client) == ['{"error": "$ is not of type object"}', "{}"]


async def test_the_limiter_pauses_a_client(backend: int) -> None:
    entry = "kind: MessageRateLimiter\nmessages: 20\nburst: 50ms"
    messages: list[str | bytes] = [str(number) for number in range(7)]

    def client(socket: ClientConnection) -> float:
        began = monotonic()
        assert echoed(socket, *messages) == messages
        return monotonic() - began

    assert await talk(entry, backend, client) >= 0.29


async def test_the_limiter_closes_a_session(backend: int) -> None:
    entry = "kind: MessageRateLimiter\nmessages: 0.001\nover: close"

    def client(socket: ClientConnection) -> tuple[int, str]:
        assert echoed(socket, "a") == ["a"]
        socket.send("b")
        return close_of(socket)

    assert await talk(entry, backend, client) == (1008, "too many messages")


async def test_the_transform_changes_fields_and_leaves_the_rest(backend: int) -> None:
    entry = "kind: MessageTransform\nfrom: backend\nmask: [{path: $.card, keepLast: 4}]"
    text = "x" * IN_PLACE

    def client(socket: ClientConnection) -> list[str | bytes]:
        return echoed(socket, '{ "a": 1 }', f'{{"card": "12345678", "t": "{text}"}}', b"\x00")

    came = await talk(entry, backend, client)
    assert came == ['{ "a": 1 }', f'{{"card":"***5678","t":"{text}"}}', b"\x00"]


async def test_the_logger_writes_a_line_for_each_message(backend: int, tmp_path: Path) -> None:
    file = tmp_path / "messages.jsonl"
    entry = f"kind: MessageLogger\nfile: {file}\ncontent: true\nredact: [$.token]"

    def client(socket: ClientConnection) -> list[str | bytes]:
        return echoed(socket, '{"token": "secret"}', "{}")

    assert await talk(entry, backend, client) == ['{"token": "secret"}', "{}"]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for sender in ("client", "backend"):
        own = [line["content"] for line in lines if line["from"] == sender]
        assert own == ['{"token":"[redacted]"}', "{}"]
