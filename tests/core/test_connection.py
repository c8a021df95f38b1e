"""What becomes of a client's connection, on a wire that is no socket."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from easews import (
    Address,
    Connection,
    Context,
    Ending,
    Filter,
    Headers,
    Response,
    Services,
    Sessions,
    Upgrade,
)
from easews.observe.accesslog import AccessLog
from easews.pipeline import Generation
from easews.server import ClientWatch, RequestIds, Site
from easews.server.connection import HttpConnection
from easews.server.routing import Router
from easews.testing import FakeWire, OpenSession, load_config

CONFIG = """
kind: HTTPServer
name: s
port: 80
headerTimeout: 50ms
keepAliveTimeout: 50ms
rules: [{paths: [{path: /, backend: p}, {path: /ws, backend: p}]}]
---
kind: Pipeline
name: p
filters: [{kind: Notes, name: notes}, {kind: Acts, name: acts}]
"""
GET = b"GET / HTTP/1.1\r\nHost: h\r\n"


class Notes(Filter):
    """Notes each answer that goes out."""

    kind = "Notes"

    async def handle(self, ctx: Context) -> None: ...

    async def on_answer(self, ctx: Context) -> None:
        assert ctx.response is not None
        ANSWERS.append(ctx.response.status)
        ctx.response.headers.add("X-Seen", "yes")


class Acts(Filter):
    """Does what the test says."""

    kind = "Acts"

    async def handle(self, ctx: Context) -> None:
        ctx.response = ACT[0](ctx)


ANSWERS: list[int] = []
ACT: list[Any] = []


@dataclass
class Client:
    """The far end of a connection that is being served."""

    wire: FakeWire
    sessions: Sessions
    ended: list[bool] = field(default_factory=list)

    async def until(self, done: Any) -> None:
        with anyio.fail_after(10):
            while not done():
                await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def serving(*sends: bytes, act: Any = lambda ctx: Response(200)) -> AsyncIterator[Client]:
    """A client that has sent this; the block ends when its connection is over."""
    ANSWERS.clear()
    ACT[:] = [act]
    config = load_config(CONFIG, Notes, Acts)
    services = Services()
    wire = FakeWire(b"".join(sends))
    client = Client(wire, Sessions())
    async with anyio.create_task_group() as tasks:
        services.run_in(tasks)
        await services.ensure([ClientWatch])
        generation = Generation(config)
        await generation.start(tasks)
        site = Site(
            *(config.servers[0], generation, services, client.sessions),
            *(AccessLog(), RequestIds(), Router(config.servers[0])),
        )
        connection = HttpConnection(
            wire,
            Address("192.0.2.1", 5),
            Address("192.0.2.2", 80),
            lambda: site,
            lambda: client.ended.append(True),
        )
        tasks.start_soon(connection.serve)
        yield client
        await client.until(lambda: client.ended)
        generation.abandon()
        tasks.cancel_scope.cancel()
    assert client.ended == [True]
    assert wire.closed


def answers(client: Client) -> list[bytes]:
    return [part[:3] for part in bytes(client.wire.sent).split(b"HTTP/1.1 ")[1:]]


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with serving(GET + b"\r\n", GET + b"\r\n") as client:
        await client.until(lambda: len(answers(client)) == 2)
        assert not client.wire.shut
        client.wire.end()


async def test_a_connection_that_is_no_longer_needed_lingers() -> None:
    async with serving(GET + b"Connection: close\r\n\r\n") as client:
        await client.until(lambda: client.wire.shut)
        assert not client.wire.closed
        client.wire.give(b"late bytes")
        await client.until(lambda: client.wire.unread == 0)
        assert not client.wire.closed
        client.wire.end()
    assert answers(client) == [b"200"]


async def test_a_request_that_cannot_be_read_is_answered_and_lingers() -> None:
    async with serving(b"GET / HTTP/9.9\r\n\r\n") as client:
        await client.until(lambda: client.wire.shut)
        client.wire.end()
    assert client.wire.sent.startswith(b"HTTP/1.1 505 ")
    assert ANSWERS == []  # no filter was entered


async def test_a_client_that_leaves_is_dropped() -> None:
    async with serving(GET + b"\r\n") as client:
        await client.until(lambda: answers(client))
        client.wire.reset()
    assert not client.wire.shut


async def test_a_client_that_waits_too_long_is_dropped() -> None:
    async with serving() as client:
        pass
    assert answers(client) == []


async def test_an_answer_that_breaks_off_ends_the_connection_at_once() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError("secret")

    async with serving(GET + b"\r\n", act=lambda ctx: Response(200, body=body())) as client:
        pass
    assert b"begun" in client.wire.sent
    assert not client.wire.shut


async def test_an_answer_waits_for_a_client_that_takes_it_slowly() -> None:
    async with serving(act=lambda ctx: Response(200, content=b"x" * 100)) as client:
        client.wire.room = 10
        client.wire.give(GET + b"\r\n")
        while not client.wire.sent.endswith(b"x" * 100):
            await client.until(lambda: client.wire.room == 0)
            client.wire.room = 10
        client.wire.end()


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda ctx: Response(418), 418),
        (lambda ctx: None, 503),
        (lambda ctx: ctx.notes[int], 500),
    ],
    ids=["a filter's", "the engine's own", "that of a fault"],
)
async def test_every_answer_goes_back_past_the_filters(act: Any, status: int) -> None:
    async with serving(GET + b"Connection: close\r\n\r\n", act=act) as client:
        await client.until(lambda: client.wire.shut)
        client.wire.end()
    assert [status] == ANSWERS
    assert b"\r\nX-Seen: yes\r\n" in client.wire.sent


async def test_no_filter_sees_the_answer_to_a_path_that_leads_nowhere() -> None:
    async with serving(b"GET /other HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") as client:
        await client.until(lambda: client.wire.shut)
        client.wire.end()
    assert answers(client) == [b"404"]
    assert ANSWERS == []


async def test_a_connection_that_is_handed_over_is_the_filters_to_close() -> None:
    started: list[Connection] = []

    def start(connection: Connection) -> None:
        connection.opened(OpenSession(connection.opening))
        started.append(connection)

    def upgrade(ctx: Context) -> Upgrade:
        ctx.labels["user"] = "anne"
        return Upgrade(Headers(), "x", "ws://b", start, lambda: None)

    asked = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly"
    async with serving(asked, act=upgrade) as client:
        await client.until(lambda: started)
        (connection,) = started
        assert connection.wire is client.wire
        assert connection.received == b"early"
        assert (connection.opening.client, connection.opening.backend) == ("192.0.2.1", "ws://b")
        assert connection.opening.labels == {"user": "anne"}
        assert client.sessions.matching(user="anne")
        assert ANSWERS == [101]
        assert not client.wire.closed
        assert not client.ended
        client.wire.close()
        connection.over(Ending("client", 1000, "closed", 0.0))
        assert len(client.sessions) == 0


async def test_a_session_keeps_neither_its_request_nor_its_context() -> None:
    kept: list[weakref.ref[object]] = []
    started: list[Connection] = []

    def upgrade(ctx: Context) -> Upgrade:
        kept.append(weakref.ref(ctx))
        return Upgrade(Headers(), "x", "", started.append, lambda: None)

    asked = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    async with serving(asked, act=upgrade) as client:
        await client.until(lambda: started)
        await client.until(lambda: not any(reference() for reference in kept))
        client.wire.close()
        started.pop().over(Ending("client", 1000, "closed", 0.0))
