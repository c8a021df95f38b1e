"""How large a request's head may be in its parts, and how slow its body."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from tests.streams import PATIENCE, rest

from easews import Context, Filter, Response
from easews.config.model import RequestLimits
from easews.server.reader import patience
from easews.testing import Running, gateway

POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
READ_NOW: list[anyio.Event] = []


class Echoes(Filter):
    """Answers with the body, which it reads at once, or when it is told to."""

    kind = "Echoes"

    async def handle(self, ctx: Context) -> None:
        if ctx.request.path == "/later":
            await READ_NOW[-1].wait()
        body = b"".join([piece async for piece in ctx.request.body])
        ctx.response = Response(200, content=body)


@asynccontextmanager
async def serving(**fields: object) -> AsyncIterator[Running]:
    limits = "\n".join(f"{name}: {value}" for name, value in fields.items())
    config = f"""
kind: HTTPServer
name: server
port: 80
{limits}
rules:
- paths:
  - backend: echoes
---
kind: Pipeline
name: echoes
filters:
- {{kind: Echoes, name: echoes}}
"""
    async with gateway(config, Echoes) as running:
        yield running


async def ask(running: Running, data: bytes) -> bytes:
    async with await anyio.connect_tcp(*running.address) as stream:
        await stream.send(data)
        return await rest(stream)


def request(line: str, *fields: str) -> bytes:
    return "\r\n".join([line, "Host: h", "Connection: close", *fields, "", ""]).encode()


LINE = "GET /0123456789 HTTP/1.1"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(LINE), 200),
        (request(LINE.replace("9 ", "9a ")), 414),
        (request("GET /" + "a" * 20_000 + " HTTP/1.1"), 414),
        (b"GET /" + b"a" * 20_000, 414),
        (request(LINE, "A: " + "a" * 20_000), 431),
    ],
    ids=["as long as allowed", "too long", "far too long", "without an end", "a long field"],
)
async def test_a_request_line_over_the_limit_is_414(data: bytes, status: int) -> None:
    async with serving(maxRequestLine=len(LINE), maxHeaderBytes="10KiB") as running:
        assert (await ask(running, data)).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(("more", "status"), [(3, 200), (4, 431)])
async def test_too_many_header_fields_are_431(more: int, status: int) -> None:
    async with serving(maxHeaders=5) as running:
        answer = await ask(running, request("GET / HTTP/1.1", *["A:"] * more))
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert (b"there are more than 5 header fields" in answer) is (status == 431)


async def test_a_hundred_fields_and_8_kib_of_request_line_are_the_default() -> None:
    async with serving() as running:
        for line, fields, status in [
            ("GET / HTTP/1.1", 98, 200),
            ("GET / HTTP/1.1", 99, 431),
            (f"GET /{'a' * 8178} HTTP/1.1", 0, 200),
            (f"GET /{'a' * 8179} HTTP/1.1", 0, 414),
        ]:
            answer = await ask(running, request(line, *["A:"] * fields))
            assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "begun", [POST + b"12345", POST, CHUNKED + b"5\r\n123"], ids=["some", "nothing", "a chunk"]
)
async def test_a_body_that_stops_is_408(begun: bytes) -> None:
    async with serving(bodyTimeout="50ms") as running:
        answer = await ask(running, begun)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"nothing of the body came for 0.05 s" in answer


@pytest.mark.parametrize("head", [POST.replace(b"10", b"1000000"), CHUNKED])
async def test_a_body_that_drips_is_408_and_the_client_reads_it(head: bytes) -> None:
    async with (
        serving(bodyTimeout="200ms", minBodyRate="1KiB") as running,
        await anyio.connect_tcp(*running.address) as stream,
        anyio.create_task_group() as tasks,
    ):

        async def drip() -> None:
            while True:
                await stream.send(b"1\r\na\r\n")
                await anyio.sleep(0.02)

        await stream.send(head)
        tasks.start_soon(drip)
        answer = b""
        with anyio.fail_after(PATIENCE):
            while b"a second" not in answer:
                answer += await stream.receive()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"the body came at less than 1024 bytes a second" in answer
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("rate", "size", "waited", "expected"),
    [
        (0, 0, 1000.0, 30.0),
        (100, 0, 0.0, 30.0),
        (100, 0, 10.0, 20.0),
        (100, 1000, 10.0, 30.0),
        (100, 10_000, 10.0, 30.0),
        (100, 1000, 25.0, 15.0),
        (100, 1000, 41.0, -1.0),
    ],
)
def test_what_has_come_earns_time_for_what_is_to_come(
    rate: int, size: int, waited: float, expected: float
) -> None:
    limits = RequestLimits(10, 1000, 1000, 100, 30, rate)
    assert patience(limits, size, waited) == expected


async def test_time_in_which_nobody_asks_for_the_body_does_not_count() -> None:
    READ_NOW.append(anyio.Event())
    later = POST.replace(b"/ ", b"/later ")
    async with (
        serving(bodyTimeout="200ms", minBodyRate="1MiB") as running,
        await anyio.connect_tcp(*running.address) as stream,
    ):
        await stream.send(later)
        await anyio.sleep(0.3)
        READ_NOW[-1].set()
        await stream.send(b"0123456789")
        with anyio.fail_after(PATIENCE):
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
