"""The HTTPServer over real sockets: what each request gets, and what its connection does then."""

from __future__ import annotations

import socket
from asyncio import Task, current_task
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import anyio
import h11
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.lowlevel import checkpoint
from tests.waiting import until

from easews import Address, Connection, Context, Ending, Filter, Headers, Response, Upgrade
from easews.config.model import RequestLimits
from easews.errors import MessageError
from easews.http.h1 import RequestHead
from easews.lowlevel import raw_socket
from easews.server import exchange, listener, watch, writer
from easews.server.reader import RequestReader
from easews.testing import Running, gateway

PATIENCE = 30
LIMITS = RequestLimits(PATIENCE, 1000, 1000, 100, PATIENCE, 0)

LATE: list[str] = []
CLOSED: list[str] = []
COMES: list[anyio.Event] = []
SEEN = ContextVar("SEEN", default=0)
ABANDONED: list[Task[Any]] = []

CONFIG = """
kind: HTTPServer
name: server
port: 80
clientMaxBodySize: 100
maxHeaderBytes: 1KiB
headerTimeout: {header_timeout}
keepAliveTimeout: {keep_alive_timeout}
rules:
- paths:
  - {{path: /acts, backend: acts}}
  - {{path: /posts, methods: [POST, PUT], backend: acts}}
  - {{path: /versions, headers: [{{key: X-Version, values: ["2"]}}], backend: acts}}
  - {{path: /inside, ipFilter: {{allowIPs: [10.0.0.0/8]}}, backend: acts}}
  - {{path: /open, clientMaxBodySize: -1, backend: acts}}
---
kind: Pipeline
name: acts
filters:
- {{kind: Acts, name: acts}}
"""


class Acts(Filter):
    """Does what the query says."""

    kind = "Acts"

    async def handle(self, ctx: Context) -> None:
        act = getattr(self, ctx.request.query or "hello")
        await act(ctx)

    async def hello(self, ctx: Context) -> None:
        ctx.response = Response(200, [("X-Client", ctx.request.client.host)], b"hello")

    async def nothing(self, ctx: Context) -> None: ...

    async def raises(self, ctx: Context) -> None:
        raise ValueError("secret")

    async def hangs(self, ctx: Context) -> None:
        await anyio.sleep_forever()

    async def echo(self, ctx: Context) -> None:
        body = b"".join([piece async for piece in ctx.request.body])
        ctx.response = Response(200, content=body)

    async def stream(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one "
            yield b""
            yield b"two"

        ctx.response = Response(200, body=pieces())

    async def hints(self, ctx: Context) -> None:
        await ctx.inform(103, Headers([("Link", "</a.css>")]))
        ctx.response = Response(200, content=b"done")

    async def continues(self, ctx: Context) -> None:
        await ctx.inform(100)

    async def rests(self, ctx: Context) -> None:
        ctx.rest()
        await anyio.sleep(0.4)  # longer than a flow may take, in the test
        ctx.response = Response(200, content=b"rested")

    async def trailed(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"

        trailers = Headers([("X-Sum", "1")])
        ctx.response = Response(200, body=pieces(), trailers=lambda: trailers)

    async def echoes_trailers(self, ctx: Context) -> None:
        async for _ in ctx.request.body:
            pass
        ctx.response = Response(200, content=repr([*ctx.request.trailers]))

    async def breaks(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one "
            raise ValueError("secret")

        ctx.response = Response(200, body=pieces())

    async def breaks_late(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            await checkpoint()
            yield b""
            raise ValueError("secret")

        ctx.response = Response(200, body=pieces())

    async def loses_a_file(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            raise OSError("secret")
            yield b""

        ctx.response = Response(200, body=pieces())

    async def late(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            await COMES[-1].wait()
            yield b"late"

        ctx.response = Response(200, body=pieces())

    async def silent(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                await anyio.sleep_forever()
                yield b""
            finally:
                CLOSED.append("body")

        ctx.response = Response(200, body=pieces(), on_close=lambda: CLOSED.append("answer"))

    async def floods(self, ctx: Context) -> None:
        class Pieces:
            async def __aiter__(self) -> AsyncIterator[bytes]:
                try:
                    while True:
                        yield bytes(1_000_000)
                finally:
                    CLOSED.append("body")

        ctx.response = Response(200, body=Pieces(), on_close=lambda: CLOSED.append("answer"))

    async def echoes_as_it_comes(self, ctx: Context) -> None:
        ctx.response = Response(200, body=ctx.request.body)

    async def empty(self, ctx: Context) -> None:
        ctx.response = Response(204, [("Content-Length", "0")])

    async def yields_text(self, ctx: Context) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield "secret"  # type: ignore[misc]

        ctx.response = Response(200, body=pieces())

    async def counts(self, ctx: Context) -> None:
        ctx.response = Response(200, content=f"{SEEN.get()}")
        SEEN.set(SEEN.get() + 1)

    async def gives_up_its_task(self, ctx: Context) -> None:
        ctx.response = Response(200, content="hello")
        if task := current_task():
            ABANDONED.append(task)

    async def cannot_be_sent(self, ctx: Context) -> None:
        ctx.response = Response(200, Headers.parsed([("x", "X", "\u0142 secret")]))

    async def cannot_be_closed(self, ctx: Context) -> None:
        def close() -> None:
            raise ValueError("secret")

        ctx.response = Response(200, content="hello", on_close=close)

    async def loses_the_request(self, ctx: Context) -> None:
        ctx.request = None  # type: ignore[assignment]
        ctx.response = Response(200, content="hello")

    async def large(self, ctx: Context) -> None:
        ctx.response = Response(200, content=bytes(8_000_000))

    async def upgrades_late(self, ctx: Context) -> None:
        await self.upgrade(ctx)
        LATE.append("begun")
        while len(LATE) < 2:
            await checkpoint()

    async def upgrade(self, ctx: Context) -> None:
        async def takeover(connection: Connection) -> None:
            sock = raw_socket(connection.wire)
            assert sock is not None
            async with await SocketStream.from_socket(sock) as stream:
                await stream.send(b"taken over with " + connection.received)
            connection.over(Ending("client", 1000, "closed", 0.0))

        ctx.response = Upgrade(Headers(), "x", "backend", takeover, lambda: None)

    async def tells_its_options(self, ctx: Context) -> None:
        def takeover(connection: Connection) -> None:
            sock = raw_socket(connection.wire)
            assert sock is not None
            nodelay = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            connection.wire.send(b"nodelay" if nodelay else b"nagle")
            connection.wire.close()
            connection.over(Ending("client", 1000, "closed", 0.0))

        ctx.response = Upgrade(Headers(), "x", "backend", takeover, lambda: None)

    async def fails_to_take_over(self, ctx: Context) -> None:
        async def takeover(connection: Connection) -> None:
            raise ValueError("secret")

        ctx.response = Upgrade(Headers(), "x", "backend", takeover, lambda: None)


@asynccontextmanager
async def serving(
    header_timeout: str = "10s", keep_alive_timeout: str = "60s"
) -> AsyncIterator[Running]:
    timeouts = {"header_timeout": header_timeout, "keep_alive_timeout": keep_alive_timeout}
    async with gateway(CONFIG.format(**timeouts), Acts) as running:
        yield running


async def send(running: Running, data: bytes) -> SocketStream:
    stream = await anyio.connect_tcp(*running.address)
    await stream.send(data)
    return stream


async def read_all(stream: SocketStream) -> bytes:
    """Everything up to the end of the stream; a reset is an error."""
    data = b""
    with anyio.fail_after(PATIENCE):
        async with stream:
            async for piece in stream:
                data += piece
    return data


async def ask(running: Running, data: bytes) -> bytes:
    """What comes for `data` until the server closes."""
    return await read_all(await send(running, data))


async def receive_until(stream: SocketStream, end: bytes) -> bytes:
    """What comes up to `end`."""
    data = b""
    with anyio.fail_after(PATIENCE):
        while end not in data:
            data += await stream.receive()
    return data


async def receive_head(stream: SocketStream) -> bytes:
    return await receive_until(stream, b"\r\n\r\n")


def logged(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The fields of the last line of the access log."""
    fields: dict[str, Any] = vars(caplog.records[-1])["easews_fields"]
    return fields


def get(target: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: h", *lines, "", ""]).encode()


def parsed(data: bytes, method: str = "GET") -> list[tuple[int, bytes]]:
    """Status and body of every answer in `data`, as h11 reads them."""
    answers: list[tuple[int, bytes]] = []
    client = h11.Connection(h11.CLIENT)
    client.receive_data(data)
    client.receive_data(b"")
    while client.our_state is h11.IDLE and client.their_state is not h11.CLOSED:
        client.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
        client.send(h11.EndOfMessage())
        status, body = 0, b""
        while type(event := client.next_event()) is not h11.EndOfMessage:
            if isinstance(event, h11.ConnectionClosed):
                return answers
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
        answers.append((status, body))
        if {client.our_state, client.their_state} != {h11.DONE} or not client.trailing_data[0]:
            break
        client.start_next_cycle()
    return answers


LAST = get("/acts", "Connection: close")
UPGRADE = ("Connection: upgrade", "Upgrade: x")


async def test_a_request_gets_its_answer_and_the_connection_goes_on() -> None:
    async with serving() as running:
        stream = await send(running, get("/acts"))
        assert b"hello" in await stream.receive()
        await stream.send(get("/acts?empty"))
        assert (await stream.receive()).startswith(b"HTTP/1.1 204")
        await stream.send(LAST)
        assert parsed(await read_all(stream)) == [(200, b"hello")]


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as running:
        requests = get("/acts") + get("/nowhere") + get("/acts?stream") + LAST
        answers = parsed(await ask(running, requests))
        assert [status for status, _ in answers] == [200, 404, 200, 200]
        assert answers[2][1] == b"one two"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/nowhere"), 404),
        (get("/posts"), 405),
        (get("/versions"), 400),
        (get("/versions", "X-Version: 2"), 200),
        (get("/inside"), 403),
        (get("/acts/%2e%2E/x"), 400),
        (get("/acts?nothing"), 503),
        (get("/acts?raises"), 500),
        (get("/acts?cannot_be_closed"), 200),
    ],
)
async def test_answers_that_are_no_trouble_for_the_connection(request_: bytes, status: int) -> None:
    async with serving() as running:
        answers = parsed(await ask(running, request_ + LAST))
        assert [answer for answer, _ in answers] == [status, 200]
        assert b"secret" not in answers[0][1]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /acts HTTP/1.1\nHost: h\n\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 400),
        (get("/acts", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (get("/acts", "X: " + "y" * 2000), 431),
        (b"GET /acts HTTP/1.1\r\nX: " + b"y" * 5000, 431),
        (get("/acts?echo", "Content-Length: 101", method="POST"), 413),
        (get("/acts?echo", "Transfer-Encoding: chunked") + b"65\r\n" + b"x" * 101, 413),
        (get("/acts?echo", "Transfer-Encoding: chunked") + b"nonsense\r\n", 400),
        (get("/acts?raises", "Content-Length: 5"), 500),
        (get("/acts", version="1.0"), 200),
        (get("/acts?yields_text"), 500),
        (get("/acts?cannot_be_sent"), 500),
        (get("/acts?loses_a_file"), 500),
    ],
)
async def test_answers_that_end_the_connection(request_: bytes, status: int) -> None:
    async with serving() as running:
        data = await ask(running, request_)
        assert [answer for answer, _ in parsed(data)] == [status]
        assert b"\r\nConnection: close\r\n" in data


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (get("/nowhere"), 404, "path"),
        (get("/posts"), 405, "GET is not allowed on this path; allowed: POST, PUT"),
        (get("/versions"), 400, "no path here takes the values of: header X-Version"),
        (get("/inside"), 403, "clients at 127.0.0.1 are not allowed here"),
        (get("/acts/../x"), 400, "dot segment"),
        (get("/acts?nothing"), 503, "the pipeline ended without an answer"),
        (get("/acts?raises"), 500, "a filter failed"),
        (get("/acts?hangs"), 504, "no answer within 0.2 s"),
        (get("/acts?loses_a_file"), 500, "the answer cannot be sent"),
        (get("/acts?echo", "Content-Length: 101", method="POST"), 413, "over 100 bytes"),
        (get("/acts?echo", "Transfer-Encoding: chunked") + b"x\r\n", 400, "chunk"),
        (get("/acts", "X: " + "y" * 2000), 431, "the head is over 1024 bytes"),
        (b"GET /acts HTTP/1.1\nHost: h\n\n", 400, "bare LF"),
        (b"GET /acts HTTP/1.1\r\nHost", 408, "the head was not complete within 0.2 s"),
    ],
)
async def test_the_reason_of_a_refusal_is_in_the_log(
    request_: bytes,
    status: int,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(exchange, "FLOW_DEADLINE", 0.2)
    caplog.set_level("INFO", "easews.access")
    async with serving(header_timeout="200ms", keep_alive_timeout="200ms") as running:
        ((_, body),) = parsed(await ask(running, request_))
    fields = logged(caplog)
    assert fields["status"] == status
    assert reason in fields["reason"]
    assert fields["reason"].encode() in body


async def test_a_405_names_the_methods() -> None:
    async with serving() as running:
        data = await ask(running, get("/posts", "Connection: close"))
        assert b"\r\nAllow: POST, PUT\r\n" in data


async def test_a_refused_client_that_goes_on_sending_gets_its_answer_and_no_reset() -> None:
    async with serving() as running:
        stream = await send(running, get("/acts", "Content-Length: 1000000", method="POST"))
        with anyio.fail_after(PATIENCE):
            for _ in range(100):
                await stream.send(bytes(10_000))
            await stream.send_eof()
        assert parsed(await read_all(stream))[0][0] == 413


async def test_a_head_that_does_not_end_in_time_is_408() -> None:
    async with serving(header_timeout="200ms") as running:
        data = await ask(running, b"GET /acts HTTP/1.1\r\nHost")
        assert parsed(data)[0][0] == 408


async def test_a_connection_without_a_request_ends_quietly() -> None:
    async with serving(header_timeout="200ms", keep_alive_timeout="200ms") as running:
        assert await ask(running, b"") == b""
        assert len(parsed(await ask(running, get("/acts")))) == 1


@pytest.mark.parametrize("lines", [b"\r\n", b"\r\n\r\n\r\n"])
async def test_empty_lines_between_requests_are_ignored(lines: bytes) -> None:
    async with serving(header_timeout="200ms", keep_alive_timeout="200ms") as running:
        assert await ask(running, lines) == b""
        assert len(parsed(await ask(running, get("/acts") + lines))) == 1
        assert len(parsed(await ask(running, lines + get("/acts") + lines + LAST))) == 2


async def test_empty_lines_without_end_are_400() -> None:
    most = b"\r\n" * 512  # as much as a head may have
    async with serving() as running:
        assert len(parsed(await ask(running, most + get("/acts") + LAST))) == 2
        data = await ask(running, most + b"\r\n")
        assert parsed(data)[0][0] == 400
        assert b"empty lines" in data


@pytest.mark.parametrize("data", [b"x", b"\r\n"])
async def test_a_head_that_is_always_ready_lets_others_have_a_turn(data: bytes) -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    wire: Any = SimpleNamespace(recv=lambda size: data)  # never refuses, never ends
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_turns)
        with pytest.raises(MessageError):
            await RequestReader(wire, LIMITS).read_head(idle=PATIENCE, timeout=PATIENCE)
        tasks.cancel_scope.cancel()
    assert turns > 100


async def test_an_empty_line_does_not_begin_a_head() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        reader = RequestReader(near, LIMITS)
        heads: list[RequestHead | None] = []

        async def read() -> None:
            heads.append(await reader.read_head(idle=PATIENCE, timeout=0))

        def taken() -> bool:
            try:
                return not near.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return True

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            far.send(b"\r\n")
            await until(taken)
            far.send(get("/acts"))
    assert [head and head.target for head in heads] == ["/acts"]


async def test_a_pipeline_that_takes_too_long_is_504(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exchange, "FLOW_DEADLINE", 0.2)
    async with serving() as running:
        answers = parsed(await ask(running, get("/acts?hangs") + LAST))
        assert [status for status, _ in answers] == [504, 200]
    assert "it was at filter acts" in caplog.text


async def test_an_upgrade_that_takes_too_long_is_504(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "FLOW_DEADLINE", 0.2)
    async with serving() as running:
        answers = parsed(await ask(running, get("/acts?hangs", *UPGRADE)))
        assert [status for status, _ in answers] == [504]


async def test_what_a_filter_sends_to_the_client_goes_out_at_once() -> None:
    async with serving() as running:
        answer = await ask(running, get("/acts?tells_its_options", *UPGRADE))
        assert answer.endswith(b"\r\n\r\nnodelay")


@pytest.mark.parametrize(
    "request_",
    [
        get("/acts?echo", "Content-Length: 11", method="POST") + b"hello there",
        get("/acts?echo", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n",
    ],
)
async def test_a_body_is_read_to_its_end_and_no_further(request_: bytes) -> None:
    async with serving() as running:
        answers = parsed(await ask(running, request_ + LAST))
        assert answers == [(200, b"hello there"), (200, b"hello")]


async def test_a_client_that_waits_for_it_is_told_to_continue() -> None:
    async with serving() as running:
        lines = ("Content-Length: 5", "Expect: 100-continue", "Connection: close")
        stream = await send(running, get("/acts?echo", *lines, method="POST"))
        assert await stream.receive() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send(b"hello")
        assert parsed(await read_all(stream)) == [(200, b"hello")]


async def test_http_1_0_knows_no_continue() -> None:
    async with serving() as running:
        lines = ("Content-Length: 5", "Expect: 100-continue")
        stream = await send(running, get("/acts?echo", *lines, method="POST", version="1.0"))
        await stream.send(b"hello")
        assert parsed(await read_all(stream)) == [(200, b"hello")]


async def test_an_answer_without_a_body_has_no_length() -> None:
    async with serving() as running:
        assert b"Content-Length" not in (await ask(running, get("/acts?empty") + LAST))[:100]


async def test_a_filter_that_loses_the_request_ends_its_connection_only() -> None:
    async with serving() as running:
        await ask(running, get("/acts?loses_the_request"))
        assert b"hello" in await ask(running, LAST)
        await running.gateway.stop()  # and no lease is left behind


async def test_a_client_that_always_has_another_request_lets_others_have_a_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with serving() as running, await send(running, get("/acts") * 1000) as busy:
        await busy.receive()
        assert b"hello" in await ask(running, LAST)
        assert len(caplog.records) < 1000  # the other one is still at it


async def test_a_slow_reader_gets_all_of_a_large_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEND_TIMEOUT", 0.5)
    async with serving() as running:
        stream = await send(running, get("/acts?large", "Connection: close"))
        size = 0
        async with stream:
            async for piece in stream:
                size += len(piece)
                await anyio.sleep(0.005)
        assert size > 8_000_000


async def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SEND_TIMEOUT", 0.2)
    async with serving() as running, await send(running, get("/acts?large")):
        await until(lambda: running.gateway.listeners["server"]._open == 1)
        await until(lambda: running.gateway.listeners["server"]._open == 0)


async def test_a_body_without_a_limit_may_be_large() -> None:
    async with serving() as running:
        lines = ("Content-Length: 300000", "Connection: close")
        stream = await send(running, get("/open?echo", *lines, method="POST") + bytes(300_000))
        assert parsed(await read_all(stream)) == [(200, bytes(300_000))]


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    async with serving() as running:
        data = await ask(running, get("/acts", "Connection: close", method="HEAD"))
        assert b"\r\nContent-Length: 5\r\n" in data
        assert data.endswith(b"\r\n\r\n")


async def test_an_answer_that_breaks_off_is_not_passed_off_as_whole() -> None:
    async with serving() as running:
        data = await ask(running, get("/acts?breaks"))
        assert data.endswith(b"4\r\none \r\n")
        assert b"hello" in await ask(running, LAST)


async def test_once_the_head_has_gone_a_body_that_fails_ends_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with serving() as running:
        data = await ask(running, get("/acts?breaks_late"))
        assert data.startswith(b"HTTP/1.1 200 ")
        assert data.endswith(b"\r\n\r\n")
    assert logged(caplog)["status"] == 200


async def test_the_head_of_an_answer_does_not_wait_for_its_body() -> None:
    COMES.append(anyio.Event())
    async with serving() as running:
        stream = await send(running, get("/acts?late", "Connection: close"))
        head = await receive_head(stream)
        COMES[-1].set()
        assert parsed(head + await read_all(stream)) == [(200, b"late")]


async def test_requests_behind_an_answer_that_comes_late_are_kept_for_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "HELD_BYTES", 4)
    COMES.append(anyio.Event())
    async with serving() as running:
        stream = await send(running, get("/acts?late"))
        head = await receive_head(stream)
        await stream.send(get("/acts"))
        await anyio.wait_all_tasks_blocked()
        await stream.send(LAST)
        COMES[-1].set()
        answers = parsed(head + await read_all(stream))
        assert answers == [(200, b"late"), (200, b"hello"), (200, b"hello")]


async def close(stream: SocketStream) -> None:
    await stream.aclose()


async def half_close(stream: SocketStream) -> None:
    await stream.send_eof()


async def reset(stream: SocketStream) -> None:
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await stream.aclose()


@pytest.mark.parametrize("leave", [close, half_close, reset])
@pytest.mark.parametrize(
    "request_",
    [
        get("/acts?silent"),
        get("/acts?silent", *UPGRADE) + b"early",
        get("/acts?silent", "Content-Length: 5", method="POST") + b"he",
        get("/acts?floods"),
    ],
    ids=["silent", "upgrade", "unread body", "flood"],
)
async def test_a_client_that_leaves_ends_the_body_of_its_answer(
    caplog: pytest.LogCaptureFixture,
    request_: bytes,
    leave: Callable[[SocketStream], Awaitable[None]],
) -> None:
    caplog.set_level("INFO")
    CLOSED.clear()
    async with serving() as running, await send(running, request_) as stream:
        await receive_head(stream)
        assert not CLOSED
        await leave(stream)
        await until(lambda: running.gateway.listeners["server"]._open == 0)
        assert CLOSED == ["body", "answer"]
        assert logged(caplog)["status"] == 499


async def test_a_client_that_leaves_in_a_large_answer_is_logged_as_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with serving() as running:
        stream = await send(running, get("/acts?large"))
        await receive_head(stream)
        await reset(stream)
        await until(lambda: running.gateway.listeners["server"]._open == 0)
    assert logged(caplog)["status"] == 499


async def test_a_client_that_ends_its_side_gets_an_answer_that_is_there_as_a_whole() -> None:
    async with serving() as running:
        stream = await send(running, get("/acts?large"))
        await stream.send_eof()
        assert len(await read_all(stream)) > 8_000_000


async def test_an_answer_may_be_made_from_a_body_that_is_still_to_come() -> None:
    async with serving() as running:
        lines = ("Transfer-Encoding: chunked", "Connection: close")
        stream = await send(running, get("/open?echoes_as_it_comes", *lines, method="POST"))
        data = await receive_head(stream)
        for _ in range(50):
            await stream.send(b"5\r\nhello\r\n")
            data += await receive_until(stream, b"5\r\nhello\r\n")
        await stream.send(b"0\r\n\r\n")
        assert parsed(data + await read_all(stream), "POST") == [(200, b"hello" * 50)]


async def test_an_upgraded_connection_is_handed_over_with_what_was_received() -> None:
    async with serving() as running:
        data = await ask(running, get("/acts?upgrade", *UPGRADE) + b"early bytes")
        head, _, rest = data.partition(b"\r\n\r\n")
        assert head == b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x"
        assert rest == b"taken over with early bytes"


async def test_an_upgrade_that_comes_when_we_stop_is_not_begun() -> None:
    LATE.clear()
    async with serving() as running:
        stream = await send(running, get("/acts?upgrades_late", *UPGRADE))
        await until(lambda: LATE)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.gateway.stop)
            await anyio.sleep(0.05)
            LATE.append("stopped")
            assert parsed(await read_all(stream))[0][0] == 503


async def test_a_filter_that_cannot_go_on_from_its_101_ends_the_connection() -> None:
    async with serving() as running:
        data = await ask(
            running, get("/acts?fails_to_take_over", "Connection: upgrade", "Upgrade: x")
        )
        assert data.endswith(b"\r\n\r\n")
        assert b"hello" in await ask(running, LAST)
        await until(lambda: running.gateway.listeners["server"]._open == 0)


async def test_an_upgrade_attempt_is_the_last_request_of_its_connection() -> None:
    async with serving() as running:
        data = await ask(running, get("/acts", *UPGRADE) + get("/acts"))
        assert parsed(data) == [(200, b"hello")]
        assert b"\r\nConnection: close\r\n" in data


async def test_a_client_that_leaves_during_an_upgrade_cancels_its_pipeline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with serving() as running:
        stream = await send(running, get("/acts?hangs", *UPGRADE))
        await anyio.wait_all_tasks_blocked()
        await stream.aclose()
        await until(lambda: caplog.records)
        fields = vars(caplog.records[-1])["easews_fields"]
        assert (fields["status"], fields["flow"]) == (499, "acts:cancelled")


async def test_what_is_set_for_one_client_is_not_seen_by_the_next() -> None:
    async with serving() as running:
        for _ in range(3):
            data = await ask(
                running, get("/acts?counts") + get("/acts?counts", "Connection: close")
            )
            assert [body for _, body in parsed(data)] == [b"0", b"1"]


async def test_more_clients_at_once_than_tasks_are_kept_are_all_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "IDLE_TASKS", 2)
    async with serving() as running:
        for _ in range(3):
            streams = [await send(running, LAST) for _ in range(5)]
            assert [parsed(await read_all(stream))[0] for stream in streams] == [
                (200, b"hello")
            ] * 5


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # a task of trio's cannot be cancelled
async def test_a_task_that_is_cancelled_while_it_waits_takes_nobody_with_it() -> None:
    async with serving() as running:
        await ask(running, get("/acts?gives_up_its_task", "Connection: close"))
        ABANDONED.pop().cancel()
        assert b"hello" in await ask(running, LAST)
        assert b"hello" in await ask(running, LAST)


async def test_connections_over_the_limit_wait_for_their_turn() -> None:
    config = CONFIG.format(header_timeout="10s", keep_alive_timeout="60s")
    async with gateway(
        config.replace("maxHeaderBytes", "maxConnections: 1\nmaxHeaderBytes"), Acts
    ) as one:
        first = await send(one, get("/acts"))
        assert b"hello" in await first.receive()
        second = await send(one, LAST)
        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
            await second.receive()
        await first.aclose()
        assert parsed(await read_all(second)) == [(200, b"hello")]


async def test_over_the_limit_all_sockets_of_a_server_wait_for_room() -> None:
    config = CONFIG.format(header_timeout="10s", keep_alive_timeout="60s")
    config = config.replace("maxHeaderBytes", "maxConnections: 1\nmaxHeaderBytes")
    async with gateway(config, Acts) as running, anyio.create_task_group() as tasks:
        socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for sock in socks:
            sock.setblocking(False)
        both = listener.Listener(socks, running.gateway.listeners["server"].site)
        tasks.start_soon(both.serve)
        first = await anyio.connect_tcp(*both.addresses[0])
        await first.send(get("/acts"))
        assert b"hello" in await first.receive()
        answers: list[bytes] = []

        async def wait(address: Address) -> None:
            stream = await anyio.connect_tcp(*address)
            await stream.send(LAST)
            answers.append(await read_all(stream))

        async with anyio.create_task_group() as waiting:
            for address in both.addresses:
                waiting.start_soon(wait, address)
            await anyio.wait_all_tasks_blocked()
            await first.aclose()
        assert [b"hello" in answer for answer in answers] == [True, True]
        both.cut()


async def test_a_client_that_resets_its_connection_does_no_harm() -> None:
    async with serving() as running:
        for request in (
            get("/acts?hangs", *UPGRADE),
            b"GET /",
            get("/acts"),
        ):
            raw = socket.create_connection((running.address.host, running.address.port))
            raw.send(request)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raw.close()
        assert b"hello" in await ask(running, LAST)


async def test_stopping_lets_a_request_end_and_takes_no_other() -> None:
    async with serving() as running:
        stream = await send(running, get("/acts?echo", "Content-Length: 5", method="POST") + b"he")
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.gateway.stop)
            await anyio.wait_all_tasks_blocked()
            await stream.send(b"llo" + get("/acts"))
            data = await read_all(stream)
        assert parsed(data) == [(200, b"hello")]
        assert b"\r\nConnection: close\r\n" in data
        with pytest.raises(OSError, match="connection attempts failed"):
            await anyio.connect_tcp(*running.address)


async def test_a_filter_may_send_an_interim_answer_to_those_who_know_it() -> None:
    async with serving() as running:
        new = await ask(running, get("/acts?hints") + LAST)
        old = await ask(running, b"GET /acts?hints HTTP/1.0\r\n\r\n")
    assert new.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert old.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_filter_cannot_send_100() -> None:
    async with serving() as running:
        assert b" 500 " in await ask(running, get("/acts?continues") + LAST)


async def test_the_flows_deadline_rests_while_a_filter_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "FLOW_DEADLINE", 0.2)
    async with serving() as running:
        (answer, _) = parsed(await ask(running, get("/acts?rests") + LAST))
        assert answer == (200, b"rested")


async def test_trailers_go_both_ways() -> None:
    async with serving() as running:
        answer = await ask(running, get("/acts?trailed") + LAST)
        assert b"3\r\none\r\n0\r\nX-Sum: 1\r\n\r\n" in answer
        post = (
            b"POST /acts?echoes_trailers HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\nX-Sum:  1 \r\nX-Forwarded-For: me\r\n\r\n"
        )
        assert b"[('X-Sum', '1')]" in await ask(running, post + LAST)
