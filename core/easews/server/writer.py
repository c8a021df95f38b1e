"""Writing a response to a client's socket (RFC 9112 §6)."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

from anyio.lowlevel import checkpoint

from ..http import Headers, Response
from ..http1 import LAST_CHUNK, encode_chunk, encode_response_head
from ..sockets import send_all

#: Seconds for which a client may take nothing of its answer.
SEND_TIMEOUT = 60.0


class ResponseWriter:
    """Writes one response. `started`: its head has gone; `sent`: bytes of its body that have."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.started = False
        self.sent = 0

    async def write(self, response: Response, *, method: str, version: str, close: bool) -> None:
        """Send it all.

        OSError (TimeoutError with it) when the client is gone or takes nothing more; what
        `response.body` raises passes through. If that is after the start, the connection is no
        longer in step: close it.
        """
        headers, chunked = _framed(response, method, version, close)
        head = encode_response_head(response.status, headers)
        if method == "HEAD" or _has_no_body(response.status):
            await self._send(head)
            return
        async with _closing(response.body) as body:
            async for piece in body:
                if self.started:
                    await checkpoint()  # a body that is always ready lets others have a turn
                # The head goes along with the first piece: one packet for a short answer.
                await self._send(head + (encode_chunk(piece) if chunked else piece))
                head = b""
                self.sent += len(piece)
        if head or chunked:
            await self._send(head + (LAST_CHUNK if chunked else b""))

    async def _send(self, data: bytes) -> None:
        self.started = True
        await send_all(self._sock, data, SEND_TIMEOUT)


def _has_no_body(status: int) -> bool:
    return status in (204, 304)


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
    lengths = headers.get_all("content-length")
    if response.status == 204 or len(lengths) > 1 or not all(map(str.isdecimal, lengths)):
        headers.remove("content-length")  # RFC 9110 §8.6
    if _has_no_body(response.status):
        return headers, False
    if response.content_length is not None:
        headers.set("Content-Length", str(response.content_length))
    chunked = "content-length" not in headers and version == "1.1" and method != "HEAD"
    if chunked:
        headers.add("Transfer-Encoding", "chunked")
    return headers, chunked
