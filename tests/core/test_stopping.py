"""How a gateway comes to its end: what it still serves, and what it leaves to be cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from easews import (
    Connection,
    Context,
    EasewsError,
    Ending,
    Filter,
    Headers,
    Opening,
    Response,
    Upgrade,
)
from easews.operate.serving.gateway import Unfinished
from easews.operate.stopping import progress, told
from easews.testing import OpenSession, Running, gateway

CONFIG = """
kind: HTTPServer
name: s
port: 80
rules: [{paths: [{path: /ws, backend: p}, {path: /slow, backend: slow}]}]
---
kind: Pipeline
name: p
filters: [{kind: Opens, name: opens}]
---
kind: Pipeline
name: slow
filters: [{kind: Waits, name: waits}]
---
{kind: Gateway, name: g, drain: %s}
"""
NOT_AT_ALL = "{window: 0, deadline: 0}"
GET = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

OPEN: list[tuple[Connection, OpenSession]] = []
GO_ON: list[anyio.Event] = []


class Opens(Filter):
    """Opens a session, or says hello."""

    kind = "Opens"
    schema = MappingProxyType({"type": "object"})

    async def handle(self, ctx: Context) -> None:
        if "upgrade" in ctx.request.headers:
            ctx.response = Upgrade(Headers(), "x", "backend", self._start, lambda: None)
        else:
            ctx.response = Response(200, content="hello")

    def _start(self, connection: Connection) -> None:
        OPEN.append((connection, OpenSession(connection.opening)))
        connection.opened(OPEN[-1][1])


class Waits(Filter):
    """Answers when the test says so."""

    kind = "Waits"
    schema = MappingProxyType({"type": "object"})

    async def handle(self, ctx: Context) -> None:
        GO_ON.append(anyio.Event())
        await GO_ON[-1].wait()
        ctx.response = Response(200, content="at last")


@pytest.fixture(autouse=True)
def nothing_open() -> Iterator[None]:
    OPEN.clear()
    GO_ON.clear()
    yield
    for connection, _ in OPEN:
        connection.wire.close()


def serving(drain: str) -> Any:
    return gateway(CONFIG % drain, Opens, Waits)


@asynccontextmanager
async def client(running: Running) -> AsyncIterator[SocketStream]:
    async with await anyio.connect_tcp(*running.address) as stream:
        yield stream


async def ask(stream: SocketStream, request: bytes) -> bytes:
    await stream.send(request)
    return await stream.receive()


def end_session() -> None:
    connection, _ = OPEN.pop()
    connection.wire.close()
    connection.over(Ending("client", 1000, "closed", 0.0))


async def test_it_is_not_ready_during_the_delay_and_serves_new_clients_all_the_same() -> None:
    async with serving("{delay: 1h}") as running, anyio.create_task_group() as tasks:
        assert (running.gateway.state, running.gateway.ready) == ("ready", True)
        tasks.start_soon(running.gateway.stop)
        await anyio.wait_all_tasks_blocked()
        assert (running.gateway.state, running.gateway.ready) == ("draining", False)
        async with client(running) as stream:
            assert b"hello" in await ask(stream, GET % b"/ws")
            assert (await ask(stream, UPGRADE)).startswith(b"HTTP/1.1 101 ")
        assert OPEN[0][1].closes == []
        assert progress(running.gateway) == (
            "1 session is open, and requests are served for drain.delay, 3600 s"
        )
        end_session()
        assert progress(running.gateway).startswith("nothing is open, and requests are served")
        tasks.cancel_scope.cancel()


async def test_no_config_is_served_that_comes_during_a_stop() -> None:
    async with serving("{delay: 1h}") as running, anyio.create_task_group() as tasks:
        tasks.start_soon(running.gateway.stop)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(EasewsError, match="the gateway is stopping"):
            await running.replace(CONFIG % "{window: 1s}", Opens, Waits)
        tasks.cancel_scope.cancel()


async def test_connections_that_are_kept_are_served_once_more_while_sessions_get_their_close() -> (
    None
):
    async with serving("{window: 1h}") as running, anyio.create_task_group() as tasks:
        for number in range(36_000):  # so that it takes an hour
            running.sessions.opened(OpenSession(Opening(f"{number}")))
        async with client(running) as stream:
            assert b"Connection: close" not in await ask(stream, GET % b"/ws")
            tasks.start_soon(running.gateway.stop)
            await anyio.wait_all_tasks_blocked()
            assert running.gateway.state == "stopping"
            assert "of which 3" in progress(running.gateway)
            answer = await ask(stream, GET % b"/ws")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"Connection: close" in answer
        tasks.cancel_scope.cancel()


async def test_a_request_on_a_kept_connection_is_refused_when_its_filters_have_been_left() -> None:
    async with (
        serving("{deadline: 1h}") as running,
        client(running) as kept,
        client(running) as busy,
        anyio.create_task_group() as tasks,
    ):
        await ask(kept, GET % b"/ws")
        await busy.send(GET % b"/slow")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(running.gateway.stop)
        await anyio.wait_all_tasks_blocked()
        assert progress(running.gateway) == "1 request is open"
        answer = await ask(kept, GET % b"/ws")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"the gateway is stopping" in answer
        GO_ON[0].set()
        assert b"at last" in await busy.receive()


async def test_a_stop_tells_what_has_to_be_cut() -> None:
    async with serving(NOT_AT_ALL) as running, client(running) as session, client(running) as slow:
        await ask(session, UPGRADE)
        await slow.send(GET % b"/slow")
        await anyio.wait_all_tasks_blocked()
        assert await running.gateway.stop() == Unfinished(sessions=1, requests=1)
        assert OPEN[0][1].closes == [(1001, "the gateway is stopping")]
        end_session()
        GO_ON[0].set()
        await slow.receive()
        await anyio.wait_all_tasks_blocked()
        assert running.gateway.unfinished == (0, 0)


async def test_what_is_used_under_an_older_config_is_counted_once() -> None:
    async with serving(NOT_AT_ALL) as running, client(running) as session:
        await ask(session, UPGRADE)
        other = (CONFIG % NOT_AT_ALL).replace("name: opens", "name: other")
        await running.replace(other, Opens, Waits)
        assert running.gateway.unfinished == (1, 0)
        end_session()
        assert running.gateway.unfinished == (0, 0)


class LateSession(OpenSession):
    """Tells when it is closed."""

    def __init__(self) -> None:
        super().__init__(Opening("late"))
        self.closed = anyio.Event()

    def close(self, code: int, reason: str) -> None:
        super().close(code, reason)
        self.closed.set()


async def test_a_session_that_opens_after_the_stop_began_gets_its_close_too() -> None:
    async with (
        serving("{deadline: 1h}") as running,
        client(running) as stream,
        anyio.create_task_group() as tasks,
    ):
        await stream.send(GET % b"/slow")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(running.gateway.stop)
        await anyio.wait_all_tasks_blocked()
        late = LateSession()
        running.sessions.opened(late)
        with anyio.fail_after(30):
            await late.closed.wait()
        assert late.closes == [(1001, "the gateway is stopping")]
        GO_ON[0].set()
        await stream.receive()


@pytest.mark.parametrize(
    ("unfinished", "text"),
    [((1, 0), "1 session"), ((0, 2), "2 requests"), ((3, 1), "3 sessions and 1 request")],
)
def test_what_is_left_is_told_in_words(unfinished: tuple[int, int], text: str) -> None:
    assert told(Unfinished(*unfinished)) == text
