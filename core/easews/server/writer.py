"""Writing a response to a client's socket (RFC 9112 §6)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate

from anyio.lowlevel import checkpoint

from ..http import Headers, Response
from ..http.h1 import LAST_CHUNK, encode_chunk, encode_last_chunk, encode_response_head
from ..net.waiting import send_all
from ..net.wire import Wire

#: Seconds for which a client may take nothing of its answer.
SEND_TIMEOUT = 60.0


class ClientGone(ConnectionError):
    """The client has left, or has taken nothing for too long."""


class ResponseWriter:
    """Writes one response. `started`: its head has gone; `sent`: bytes of its body that have."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._head = b""  # what has still to be sent of it
        self.started: bool = False
        self.sent: int = 0

    async def write(self, response: Response, *, method: str, version: str, close: bool) -> None:
        """Send it all.

        ClientGone when there is nobody to take it; what `response.body` raises passes through.
        If that is after the start, the connection is no longer in step: close it.
        """
        headers, chunked = _framed(response, method, version, close)
        self._head = encode_response_head(response.status, headers)
        if method == "HEAD" or _has_no_body(response.status):
            await self._send(b"")
            return
        async with _closing(aiter(response.body)) as body:
            async for piece in body:
                if self.started:
                    await checkpoint()  # a body that is always ready lets others have a turn
                await self._send(encode_chunk(piece) if chunked else piece)
                self.sent += len(piece)
        if chunked and response.trailers is not None:
            await self._send(encode_last_chunk(response.trailers()))
        else:
            await self._send(LAST_CHUNK if chunked else b"")

    async def inform(self, status: int, headers: Headers) -> None:
        """Send an interim answer, before the final one."""
        # An error is for the next to read or write, which will have it, too.
        with suppress(OSError):
            await send_all(self._wire, encode_response_head(status, headers), SEND_TIMEOUT)

    def send_head(self) -> bool:
        """Send the head now, as far as the socket takes it; whether all of it has gone.

        For a body that keeps us waiting. Otherwise its first piece takes the head along: one
        packet for a short answer.
        """
        self.started = True
        try:
            if self._head:
                self._head = self._head[self._wire.send(self._head) :]
        except BlockingIOError:
            pass
        except OSError:
            self._head = b""  # the client is gone: the next to read or write is told
        return not self._head

    async def _send(self, data: bytes) -> None:
        data, self._head = self._head + data, b""
        self.started = True
        try:
            await send_all(self._wire, data, SEND_TIMEOUT)
        except OSError as error:
            raise ClientGone(str(error)) from error


def _has_no_body(status: int) -> bool:
    return status in (204, 304)


@asynccontextmanager
async def _closing(body: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterable[bytes]]:
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
        length = str(response.content_length)
        if lengths != [length]:
            headers.set("Content-Length", length)
    chunked = "content-length" not in headers and version == "1.1" and method != "HEAD"
    if chunked:
        headers.add("Transfer-Encoding", "chunked")
    return headers, chunked
