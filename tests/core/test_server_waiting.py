"""How long a client may keep us waiting, and what we look at meanwhile, over real sockets."""

from __future__ import annotations

from typing import ClassVar

import anyio
import h11
import pytest
from anyio.abc import SocketStream

from easews import Context, Filter, Response
from easews.testing import Running, gateway

PATIENCE = 30
CONFIG = """
kind: HTTPServer
name: server
port: 80
headerTimeout: {header}
keepAliveTimeout: {keep_alive}
rules: [{{paths: [{{backend: answers}}]}}]
---
kind: Pipeline
name: answers
filters: [{{kind: Answers, name: answers}}]
"""
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Answers(Filter):
    """Answers with the request's body, once the test lets it; it sets a framing of its own."""

    kind = "Answers"
    begun: ClassVar[anyio.Event]
    may_go_on: ClassVar[anyio.Event]

    async def handle(self, ctx: Context) -> None:
        if ctx.request.wants_upgrade:
            self.begun.set()
            await self.may_go_on.wait()
        body = b"".join([piece async for piece in ctx.request.body])
        headers = [("Transfer-Encoding", "gzip, chunked")]
        if ctx.request.path == "/streams":
            ctx.response = Response(200, headers, body=ctx.request.body)
        else:
            ctx.response = Response(200, headers, content=body or b"hello")


def config(header: str = "1h", keep_alive: str = "1h") -> str:
    return CONFIG.format(header=header, keep_alive=keep_alive)


async def connect(running: Running) -> SocketStream:
    return await anyio.connect_tcp(*running.address)


async def ask(stream: SocketStream, request: bytes) -> tuple[h11.Response, bytes]:
    """One request on a connection, and its answer."""
    await stream.send(request)
    return await answer_on(stream)


async def answer_on(stream: SocketStream) -> tuple[h11.Response, bytes]:
    """The next answer on a connection, as h11 reads it."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())
    response, body = None, b""
    with anyio.fail_after(PATIENCE):
        while type(event := client.next_event()) is not h11.EndOfMessage:
            if event is h11.NEED_DATA:
                client.receive_data(await stream.receive())
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
    assert response is not None
    return response, body


async def test_between_requests_the_keep_alive_timeout_counts() -> None:
    async with (
        gateway(config(keep_alive="200ms"), Answers) as running,
        await connect(running) as stream,
    ):
        await ask(stream, GET)
        with anyio.fail_after(PATIENCE), pytest.raises(anyio.EndOfStream):
            await stream.receive()


@pytest.mark.slow
async def test_the_header_timeout_begins_with_the_heads_first_byte() -> None:
    async with gateway(config(header="1s"), Answers) as running, await connect(running) as stream:
        await ask(stream, GET)
        await anyio.sleep(1.2)  # longer than a head may take
        assert (await ask(stream, GET))[0].status_code == 200
        assert (await ask(stream, GET[:-2]))[0].status_code == 408


@pytest.mark.parametrize("path", [b"/", b"/streams"])
async def test_a_filter_cannot_set_the_framing_of_its_answer(path: bytes) -> None:
    async with gateway(config(), Answers) as running, await connect(running) as stream:
        response, _ = await ask(stream, GET.replace(b"/", path, 1))
        framing = {name: value for name, value in response.headers if name != b"date"}
        own = {b"transfer-encoding": b"chunked"} if path != b"/" else {b"content-length": b"5"}
        assert framing == own


async def test_a_client_whose_body_is_still_unread_is_not_watched() -> None:
    """What the watch reads would be the body's, and its end would cancel the pipeline."""
    Answers.begun, Answers.may_go_on = anyio.Event(), anyio.Event()
    upgrade = b"\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nbody"
    async with (
        gateway(config(), Answers) as running,
        await connect(running) as stream,
        await connect(running) as other,
    ):
        await stream.send(GET.replace(b"\r\n\r\n", upgrade))
        await stream.send_eof()
        with anyio.fail_after(PATIENCE):
            await Answers.begun.wait()
        for _ in range(3):  # whoever watches has its turn while these are answered
            await ask(other, GET)
        Answers.may_go_on.set()
        response, body = await answer_on(stream)
        assert (response.status_code, body) == (200, b"body")
