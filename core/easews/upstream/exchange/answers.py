"""A server's answer: its head, then its body as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic

from ...errors import BadAnswer, ConnectError
from ...http import Headers, passing_trailers
from ...http.h1 import (
    NO_TRAILERS,
    BodyError,
    BodyReader,
    ResponseHead,
    find_head_end,
    parse_response_head,
    response_framing,
)
from ...net.waiting import READ_SIZE, receive
from ...net.wire import Wire, raw_socket

MAX_HEAD = 64 * 1024
MAX_INTERIM = 100
#: Seconds for which a server may be silent within its answer.
BODY_TIMEOUT = 60.0


class Answer:
    """A server's final answer, or its 101.

    wire      the connection
    status    the status code
    headers   the header fields
    received  what the server has sent behind the head

    After a 101 the caller takes over `wire` and `received`. After any other status it reads
    `content` or `body`, and then calls `close`.
    """

    def __init__(
        self,
        wire: Wire,
        head: ResponseHead,
        received: bytes,
        method: str,
        timeout: float | None = None,
    ) -> None:
        self.wire: Wire = wire
        self.status: int = head.status
        self.headers: Headers = head.headers
        self.received: bytes = received
        self._framing = response_framing(head, method)
        self._timeout = BODY_TIMEOUT if timeout is None else timeout
        self._reader: BodyReader | None = None
        self._version = head.version

    @property
    def length(self) -> int:
        """The length of the body as far as the head announces it; 0 otherwise."""
        return self._framing.length

    @property
    def reusable(self) -> bool:
        """Whether the answer was read to its end, and the connection may serve another request."""
        if self._framing.kind == "close" or self._version != "1.1":
            return False
        if "close" in self.headers.tokens("connection"):
            return False
        if self._reader is None:
            return self._framing.kind == "none" and not self.received
        return self._reader.done and not self._reader.leftover

    def trailers(self) -> Headers:
        """The fields behind the body, once it was read to its end, as far as they may go on."""
        found = NO_TRAILERS if self._reader is None else self._reader.trailers
        return passing_trailers(found, self.headers)

    def content(self) -> bytes | None:
        """The body, if there is none or all of it came with the head; else None: `body` has it."""
        framing = self._framing
        if framing.kind == "none":
            return b""
        if framing.kind == "length" and len(self.received) >= framing.length:
            self._reader = BodyReader(framing)
            return self._reader.feed(self.received)
        return None

    async def body(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. BadAnswer when it is malformed or incomplete."""
        reader = self._reader = BodyReader(self._framing)
        data, self.received = self.received, b""
        try:
            while True:
                if piece := reader.feed(data):
                    yield piece
                if reader.done:
                    return
                data = await receive(self.wire, self._timeout)
                if not data:
                    reader.feed_eof()
                    return
        except (BodyError, OSError) as error:
            raise BadAnswer(f"the body of its answer: {error}") from error

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self.wire.close()


class AnswerReader:
    """Reads the heads of one answer, interim ones included. `begun`: a byte of it has come."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._buffer = bytearray()
        self._interim = 0
        self._failure: OSError | None = None
        self.begun: bool = False

    async def head(self, until: float) -> ResponseHead:
        """The next head. ConnectError when the server closes without one, BadAnswer when it breaks
        off within one or sends too many interim ones, TimeoutError after `until`, HeadError when
        it is malformed, OSError when the connection is lost.
        """
        head = parse_response_head(await self._raw(until))
        if head.status == 101 and head.version == "1.0":
            raise BadAnswer("it switches protocols in HTTP/1.0, which cannot (RFC 9110 §7.8)")
        if head.status < 200 and head.status != 101:
            self._interim += 1
            if self._interim >= MAX_INTERIM:
                raise BadAnswer(f"it sent {MAX_INTERIM} interim answers and none that is final")
        return head

    @property
    def holds(self) -> bool:
        """Whether something came behind the last head, such as the next one."""
        return bool(self._buffer)

    def has_come(self) -> bool:
        """Whether what a poll tells of is the server's, if only its end: it may also be TLS's own.
        Call it after a poll.
        """
        if self._buffer or raw_socket(self._wire) is not None:
            return True
        try:
            self._buffer += self._wire.recv(READ_SIZE)
        except BlockingIOError:
            return False
        except OSError as error:
            self._failure = error.with_traceback(None)
        self.begun = bool(self._buffer)
        return True

    def rest(self) -> bytes:
        """What came behind the last head."""
        return bytes(self._buffer)

    async def _raw(self, until: float) -> bytearray:
        buffer = self._buffer
        if self._failure is not None:
            failure, self._failure = self._failure, None
            try:
                raise failure
            finally:
                del failure  # its traceback leads here: together they would be garbage
        end = find_head_end(buffer) if buffer else -1
        while end < 0 and len(buffer) <= MAX_HEAD:
            data = await receive(self._wire, until - monotonic())
            if not data and not buffer:
                raise ConnectError("it closed the connection without an answer")
            if not data:
                raise BadAnswer("it closed the connection in the middle of its answer")
            self.begun = True
            buffer += data
            end = find_head_end(buffer)
        if not 0 <= end <= MAX_HEAD:
            raise BadAnswer(f"the head of its answer is over {MAX_HEAD} bytes")
        raw = buffer[:end]
        del buffer[:end]
        return raw
