"""Reading requests from a client's socket: heads within their limits, bodies as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic

from anyio.lowlevel import checkpoint

from ..config.model import RequestLimits
from ..errors import MessageError
from ..http import Headers
from ..http.forwarded import forwarding_names
from ..http.h1 import (
    BodyError,
    BodyReader,
    RequestHead,
    find_head_end,
    parse_request_head,
    request_framing,
)
from ..net.waiting import READ_SIZE, receive, send_all
from ..net.wire import Wire

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestReader:
    """What a client sends, request after request. `received` is what was not used up yet.

    `waits` tells that somebody waits for more of a body: what comes is then not for others.
    """

    def __init__(self, wire: Wire, limits: RequestLimits) -> None:
        self._wire = wire
        self.limits: RequestLimits = limits
        self.received: bytearray = bytearray()
        self.waits: bool = False

    async def read_head(self, idle: float, timeout: float) -> RequestHead | None:
        """The next head; None when the client left or sent nothing for `idle` seconds.

        MessageError when it is malformed (400), too large (414, 431), or did not come in whole
        within `timeout` seconds of its first byte (408).
        """
        received, most = self.received, self.limits.max_header_bytes
        dropped = _drop_empty_lines(received)
        end_of_idling = monotonic() + idle
        until = monotonic() + timeout if received else end_of_idling
        end = find_head_end(received) if received else -1
        while end < 0 and len(received) <= most:
            try:
                data = await receive(self._wire, until - monotonic())
            except TimeoutError:
                if not received:
                    return None
                raise MessageError(408, f"the head was not complete within {timeout:g} s") from None
            if not data:
                return None
            if not received:
                until = monotonic() + timeout
            received += data
            dropped += _drop_empty_lines(received)
            if dropped > most:
                raise MessageError(400, f"over {most} bytes of empty lines, and no request")
            if not received:
                until = end_of_idling
            end = find_head_end(received, seen=len(received) - len(data))
            if end < 0:
                await checkpoint()  # bytes that are always ready let others have a turn
        raw = received[:end] if 0 <= end <= most else received
        _check_head(raw, self.limits)
        if raw is received:
            raise MessageError(431, f"the head is over {most} bytes")
        del received[:end]
        return parse_request_head(raw)

    def take(self) -> bytes:
        """All that was received and not used up."""
        data = bytes(self.received)
        self.received.clear()
        return data

    def body(self, head: RequestHead, limit: int) -> RequestBody:
        """The body behind `head`. MessageError 413 when it is announced to be over `limit`."""
        return RequestBody(self, self._wire, head, limit)


def _lost() -> BodyError:
    return BodyError(400, "the connection was lost before the body's end")


def _check_head(head: bytearray, limits: RequestLimits) -> None:
    """MessageError when a head, of which there may be more, is too large in one of its parts."""
    if head.find(b"\r\n", 0, limits.max_request_line + 2) < 0:
        raise MessageError(414, f"the request line is over {limits.max_request_line} bytes")
    if head.count(b"\r\n") - 2 > limits.max_headers:  # the request line's, and the empty line's
        raise MessageError(431, f"there are more than {limits.max_headers} header fields")


def _drop_empty_lines(received: bytearray) -> int:
    """RFC 9112 §2.2: what stands before a request line. Some clients end a body with a CRLF.
    How many bytes that was.
    """
    size = 0
    while received.startswith(b"\r\n", size):
        size += 2
    if size:
        del received[:size]
    return size


def patience(limits: RequestLimits, size: int, waited: float) -> float:
    """How many seconds to wait for more of a body, of which `size` bytes have come and which was
    waited for `waited` seconds. Every byte earns the time that it may take at `minBodyRate`.
    """
    if not limits.min_body_rate:
        return limits.body_timeout
    return limits.body_timeout + min(0.0, size / limits.min_body_rate - waited)


class RequestBody:
    """An async iterator over a request's body. `limit` is in bytes, -1 for none.

    `size` is how many bytes of it have been read.
    """

    def __init__(self, reader: RequestReader, wire: Wire, head: RequestHead, limit: int) -> None:
        self._source = reader
        self._wire = wire
        self._limit = limit
        self.size: int = 0
        self._waited = 0.0
        framing = request_framing(head)
        self._check_size(framing.length)
        self._reader = BodyReader(framing)
        # RFC 9110 §10.1.1: asked for by the client, and only sent when somebody wants the body.
        expected = not self._reader.done and head.version == "1.1"
        self._continue_first = expected and "100-continue" in head.headers.tokens("expect")

    @property
    def done(self) -> bool:
        """Whether the body was read to its end, so that another request may follow."""
        return self._reader.done

    @property
    def trailers(self) -> Headers:
        """The fields behind the body, once it is done. No client may say whom it came through."""
        trailers = self._reader.trailers
        if not trailers or not (forged := forwarding_names(trailers)):
            return trailers
        return Headers.parsed([field for field in trailers.triples if field[0] not in forged])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """MessageError when the body is malformed, cut short (400), too slow (408) or too large
        (413).
        """
        while not self._reader.done:
            await checkpoint()  # a body that is always ready lets others have a turn
            try:
                data = await self._receive()
            except OSError:
                raise _lost() from None
            if piece := self._feed(data):
                return piece
        raise StopAsyncIteration

    def ready(self) -> bytes:
        """The next piece, if it is here already, else b"". It never waits, and so never yields:
        callers do not loop. Raises what reading does.
        """
        if self._reader.done:
            return b""
        if self._source.received:
            return self._feed(self._source.take())
        try:
            return b"" if self._continue_first else self._feed(self._wire.recv(READ_SIZE))
        except BlockingIOError:
            return b""
        except OSError:
            raise _lost() from None

    def _feed(self, data: bytes) -> bytes:
        """The part of the body in `data`; b"" for that is the end of the stream."""
        piece = self._reader.feed(data)
        if not data:
            self._reader.feed_eof()
        self._source.received += self._reader.leftover
        self.size += len(piece)
        self._check_size(self.size)
        return piece

    async def _receive(self) -> bytes:
        if self._source.received:
            return self._source.take()
        if self._continue_first:
            self._continue_first = False
            await send_all(self._wire, _CONTINUE)
        self._source.waits = True
        began = monotonic()
        try:
            time_left = patience(self._source.limits, self.size, self._waited)
            return await receive(self._wire, time_left)
        except TimeoutError:
            raise self._too_slow() from None
        finally:
            self._source.waits = False
            self._waited += monotonic() - began

    def _too_slow(self) -> MessageError:
        limits = self._source.limits
        if patience(limits, self.size, self._waited) >= limits.body_timeout:
            return MessageError(408, f"nothing of the body came for {limits.body_timeout:g} s")
        rate = limits.min_body_rate
        return MessageError(408, f"the body came at less than {rate} bytes a second")

    def _check_size(self, size: int) -> None:
        if 0 <= self._limit < size:
            raise MessageError(413, f"the body is over {self._limit} bytes")
