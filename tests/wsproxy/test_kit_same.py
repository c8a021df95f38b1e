"""A conversation in memory ends as one through a real gateway does: the same words, twice."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from easews import Close, Filter, Message, Reads, Session
from easews.testing import Peer, conversation, gateway, real_backend, real_client

CONFIG = """
kind: HTTPServer
name: server
port: 8080
rules: [{{paths: [{{pathPrefix: /, backend: sessions, clientMaxBodySize: -1}}]}}]
---
kind: Pipeline
name: sessions
filters:
- {{kind: Obeys, name: obeys}}
- {{kind: Marks, name: marks}}
- kind: WebSocketProxy
  name: proxy
  pools: [{{servers: [{{url: "{url}"}}]}}]
"""

Peers = tuple[Peer, Peer]


class Obeys(Filter):
    """Does what the client says."""

    kind = "Obeys"
    reads = Reads(senders=("client",), max_size=1000)

    async def on_message(self, session: Session, message: Message) -> Any:
        match message.data:
            case "drop":
                return None
            case "several":
                return ["one", b"two", "three"]
            case "inject":
                session.send_to_client("injected")
                session.send_to_backend("injected")
            case "last":
                return ["last", Close(4001, "that was it"), "never"]
            case "close":
                session.close(4002, "closed")
            case "expire":
                session.expire(time.time() - 1, 4003, "expired")
            case "raise":
                raise RuntimeError("oh")
            case "nonsense":
                return 7
        return message


class Marks(Filter):
    """Marks text messages."""

    kind = "Marks"
    reads = Reads(binary=False)

    def on_message(self, session: Session, message: Message) -> Any:
        assert isinstance(message.data, str)
        return message.data + "!"


@asynccontextmanager
async def in_memory() -> AsyncIterator[Peers]:
    async with conversation(Obeys, Marks) as talk:
        yield talk.client, talk.backend


@asynccontextmanager
async def through_a_gateway(deflate: bool = False) -> AsyncIterator[Peers]:
    async with (
        real_backend(deflate=deflate) as server,
        gateway(CONFIG.format(url=server.url), Obeys, Marks) as running,
        real_client(running.address, deflate=deflate) as client,
    ):
        yield client, await server.accepts()


async def changes(client: Peer, backend: Peer) -> None:
    await client.sends("hi", b"hi", "drop", "several", "é" * 500)
    await backend.receives("hi!", b"hi", "one!", b"two", "three!", "é" * 500 + "!")
    await backend.sends("ho", b"ho")
    await client.receives("ho!", b"ho")
    await backend.receives_nothing()
    await client.receives_nothing()


async def injects(client: Peer, backend: Peer) -> None:
    await client.sends("inject")
    await client.receives("injected")
    await backend.receives("injected", "inject!")


async def closes_behind_a_message(client: Peer, backend: Peer) -> None:
    await client.sends("last", "lost")
    await backend.receives("last!")
    await both_closed(client, backend, 4001, "that was it")


async def closes(client: Peer, backend: Peer) -> None:
    await client.sends("close")
    await both_closed(client, backend, 4002, "closed")


async def expires(client: Peer, backend: Peer) -> None:
    await client.sends("expire")
    await client.is_closed_with(4003, "expired")
    await backend.news()
    if not isinstance(backend.heard[0], Close):  # its message may have gone on before that
        await backend.receives("expire!")
    await backend.is_closed_with(4003, "expired")


async def raises(client: Peer, backend: Peer) -> None:
    await client.sends("raise")
    await both_closed(client, backend, 1011, "a filter failed")


async def returns_nonsense(client: Peer, backend: Peer) -> None:
    await client.sends("nonsense")
    await both_closed(client, backend, 1011, "a filter failed")


async def is_too_big(client: Peer, backend: Peer) -> None:
    await client.sends("x" * 1001)
    await client.is_closed_with(1009, "message over 1000 bytes")
    await backend.is_closed_with(1001, "the client was at fault")


async def client_closes(client: Peer, backend: Peer) -> None:
    await client.sends("hi")
    await client.closes(4005, "bye")
    await backend.receives("hi!")
    await backend.is_closed_with(4005, "bye")


async def backend_vanishes(client: Peer, backend: Peer) -> None:
    await backend.vanishes()
    await client.is_closed_with(1011, "the backend was lost")


async def client_vanishes(client: Peer, backend: Peer) -> None:
    await client.vanishes()
    await backend.is_closed_with(1001, "the client was lost")


async def both_closed(client: Peer, backend: Peer, code: int, reason: str) -> None:
    await client.is_closed_with(code, reason)
    await backend.is_closed_with(code, reason)


Words = Callable[[Peer, Peer], Awaitable[None]]


@pytest.mark.parametrize(
    "words",
    [
        changes,
        injects,
        closes_behind_a_message,
        closes,
        expires,
        raises,
        returns_nonsense,
        is_too_big,
        client_closes,
        backend_vanishes,
        client_vanishes,
    ],
)
@pytest.mark.parametrize("where", ["memory", "gateway", "deflate"])
async def test_in_memory_as_through_a_gateway(where: str, words: Words) -> None:
    place = in_memory() if where == "memory" else through_a_gateway(where == "deflate")
    async with place as (client, backend):
        await words(client, backend)
