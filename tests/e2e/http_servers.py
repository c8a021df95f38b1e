"""An application on another server: `python -m tests.e2e.http_servers uvicorn|aiohttp PORT`.

GET  /hello    a page
POST /sum      size and SHA-256 of the body
GET  /bytes    a body of 300,000 bytes, in chunks
GET  /events   two server-sent events, the second one after a GET of /go
POST /early    413, without reading the body
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from typing import Any

BYTES = bytes(range(250)) * 1200


class Application:
    """What the servers below have in common."""

    def __init__(self) -> None:
        self._go = asyncio.Event()

    async def answer(
        self, path: str, body: AsyncIterator[bytes]
    ) -> tuple[int, dict[str, str], AsyncIterator[bytes]]:
        if path == "/sum":
            digest, size = sha256(), 0
            async for piece in body:
                digest.update(piece)
                size += len(piece)
            return 200, {}, _pieces(f"{size} {digest.hexdigest()}".encode())
        if path == "/events":
            return 200, {"Content-Type": "text/event-stream"}, self._events()
        if path == "/go":
            self._go.set()
        if path == "/early":
            return 413, {}, _pieces(b"too large")
        if path == "/bytes":
            return 200, {}, _pieces(BYTES[:100_000], BYTES[100_000:])
        return 200, {"Content-Length": "5"}, _pieces(b"hello")

    async def _events(self) -> AsyncIterator[bytes]:
        yield b"data: one\n\n"
        await self._go.wait()
        yield b"data: two\n\n"


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def serve_uvicorn(port: int) -> None:
    import uvicorn

    made: list[Application] = []

    async def app(
        scope: Any,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        async def body() -> AsyncIterator[bytes]:
            more = True
            while more:
                message = await receive()
                more = message.get("more_body", False)
                yield message.get("body", b"")

        if not made:
            made.append(Application())
        status, fields, pieces = await made[0].answer(scope["path"], body())
        headers = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    uvicorn.run(app, host="127.0.0.1", port=port, lifespan="off", log_level="warning")


def serve_aiohttp(port: int) -> None:
    from aiohttp import web

    made = Application()

    async def handle(request: web.Request) -> web.StreamResponse:
        status, headers, pieces = await made.answer(request.path, request.content.iter_any())
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            async for piece in pieces:
                await response.write(piece)
        await response.write_eof()
        return response

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handle)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    {"uvicorn": serve_uvicorn, "aiohttp": serve_aiohttp}[sys.argv[1]](int(sys.argv[2]))
