"""One origin: a page, server-sent events, a WebSocket, and uploads. An ASGI app.

What is POSTed to /say becomes the next event, so that nobody needs to wait for a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_suffix(".html").read_bytes()

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

listeners: set[asyncio.Queue[bytes]] = set()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["type"] == "http":
        await PAGES.get(scope["path"], page)(receive, send)


async def page(receive: Receive, send: Send) -> None:
    await answer(send, PAGE, b"text/html")


async def say(receive: Receive, send: Send) -> None:
    body = await read(receive)
    for listener in listeners:
        listener.put_nowait(body)
    await answer(send, b"said")


async def upload(receive: Receive, send: Send) -> None:
    await answer(send, str(len(await read(receive))).encode())


async def events(receive: Receive, send: Send) -> None:
    listener: asyncio.Queue[bytes] = asyncio.Queue()
    listeners.add(listener)
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    sending = asyncio.create_task(send_events(listener, send))
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()
    listeners.discard(listener)
    for other in listeners:
        other.put_nowait(b"somebody left")


async def send_events(listener: asyncio.Queue[bytes], send: Send) -> None:
    while True:
        event = b"data: %b\n\n" % await listener.get()
        await send({"type": "http.response.body", "body": event, "more_body": True})


async def echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def read(receive: Receive) -> bytes:
    body = b""
    while (part := await receive()).get("more_body"):
        body += part["body"]
    return body + bytes(part.get("body", b""))


async def answer(send: Send, body: bytes, kind: bytes = b"text/plain") -> None:
    headers = [(b"content-type", kind + b"; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


PAGES = {"/say": say, "/upload": upload, "/events": events}
