"""Writing a response to a client's socket (RFC 9112 §6)."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import anyio

from ..http import Headers, Response
from ..http1 import LAST_CHUNK, encode_chunk, encode_response_head
from ..sockets import send_all

#: Seconds for which a client may take nothing of its answer.
SEND_TIMEOUT = 60.0


async def write_response(
    sock: socket.socket, response: Response, *, method: str, version: str, close: bool
) -> int:
    """Send it all and return how many bytes of body that were.

    OSError (TimeoutError with it) when the client is gone or takes nothing more; what
    `response.body` raises passes through. The connection is then no longer in step: close it.
    """
    headers, chunked = _framed(response, method, version, close)
    head = encode_response_head(response.status, headers)
    if method == "HEAD" or response.status in (204, 304):
        await _send(sock, head)
        return 0
    sent = 0
    async with _closing(response.body) as body:
        async for piece in body:
            # The head goes along with the first piece: one packet for a short answer.
            await _send(sock, head + (encode_chunk(piece) if chunked else piece))
            head = b""
            sent += len(piece)
    if head or chunked:
        await _send(sock, head + (LAST_CHUNK if chunked else b""))
    return sent


@asynccontextmanager
async def _closing(body: AsyncIterable[bytes]) -> AsyncIterator[AsyncIterable[bytes]]:
    """Generators that are left in the middle want to be closed where they ran."""
    try:
        yield body
    finally:
        if isinstance(body, AsyncGenerator):
            await body.aclose()


def _framed(response: Response, method: str, version: str, close: bool) -> tuple[Headers, bool]:
    """The headers as they are sent, and whether the body goes in chunks."""
    headers = response.headers.copy()
    headers.remove("transfer-encoding", "keep-alive")
    options = [token for token in headers.elements("connection") if token.lower() != "close"]
    if close:
        options.append("close")
    headers.remove("connection")
    if options:
        headers.add("Connection", ", ".join(options))
    if "date" not in headers:
        headers.add("Date", formatdate(usegmt=True))
    if response.content_length is not None and response.status not in (204, 304):
        headers.set("Content-Length", str(response.content_length))
    chunked = "content-length" not in headers and version == "1.1" and method != "HEAD"
    chunked = chunked and response.status not in (204, 304)
    if chunked:
        headers.add("Transfer-Encoding", "chunked")
    return headers, chunked


async def _send(sock: socket.socket, data: bytes) -> None:
    with anyio.fail_after(SEND_TIMEOUT):
        await send_all(sock, data)
