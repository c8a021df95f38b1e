"""One HTTP/1.1 request on a connection of its own, and its answer."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from math import inf
from time import monotonic

from anyio.lowlevel import checkpoint

from ..errors import BadAnswer, ConnectError, UpstreamTimeout
from ..http import Headers
from ..http.h1 import (
    BodyError,
    BodyReader,
    HeadError,
    ResponseHead,
    encode_request_head,
    find_head_end,
    parse_response_head,
    response_framing,
)
from ..net.waiting import receive, send_all

MAX_HEAD = 64 * 1024
MAX_INTERIM = 100
#: Seconds for which a server may be silent within its answer.
BODY_TIMEOUT = 60.0


class Answer:
    """A server's final answer, or its 101.

    sock      the connection
    status    the status code
    headers   the header fields
    received  what the server has sent behind the head

    After a 101 the caller takes over `sock` and `received`. After any other status it reads
    `body` and then calls `close`.
    """

    def __init__(
        self, sock: socket.socket, head: ResponseHead, received: bytes, method: str
    ) -> None:
        self.sock: socket.socket = sock
        self.status: int = head.status
        self.headers: Headers = head.headers
        self.received: bytes = received
        self._framing = response_framing(head, method)

    async def body(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. BadAnswer when it is malformed or incomplete."""
        reader, data = BodyReader(self._framing), self.received
        try:
            while True:
                if piece := reader.feed(data):
                    yield piece
                if reader.done:
                    return
                data = await receive(self.sock, BODY_TIMEOUT)
                if not data:
                    reader.feed_eof()
                    return
        except (BodyError, OSError) as error:
            raise BadAnswer(f"the body of its answer: {error}") from error

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self.sock.close()


async def ask(
    sock: socket.socket, method: str, target: str, headers: Headers, timeout: float = inf
) -> Answer:
    """Send a request without a body and wait for the head of the final answer.

    Interim answers (1xx except 101) are skipped (RFC 9110 §15.2). ConnectError when the server
    closes the connection without an answer, BadAnswer when the answer is not valid HTTP or
    incomplete, UpstreamTimeout when its head does not come within `timeout` seconds. The texts of
    these errors do not name the server. The caller still owns `sock`.
    """
    until = monotonic() + timeout
    try:
        await send_all(sock, encode_request_head(method, target, headers), timeout)
        await checkpoint()  # no server has answered by now
        return await _read_head(sock, method, until)
    except OSError as error:
        # The kernel's ETIMEDOUT is a TimeoutError too: a connection that was lost, as by a reset.
        if isinstance(error, TimeoutError) and not error.errno:
            raise UpstreamTimeout(f"no answer within {timeout:g} s") from None
        raise ConnectError(error.strerror or str(error)) from None
    except HeadError as error:
        raise BadAnswer(f"the head of its answer is refused: {error.detail}") from None


async def _read_head(sock: socket.socket, method: str, until: float) -> Answer:
    buffer = bytearray()
    for _ in range(MAX_INTERIM):
        raw = await _read_raw_head(sock, buffer, until)
        head = parse_response_head(raw)
        if head.status == 101 and head.version == "1.0":
            raise BadAnswer("it switches protocols in HTTP/1.0, which cannot (RFC 9110 §7.8)")
        if head.status >= 200 or head.status == 101:
            return Answer(sock, head, bytes(buffer), method)
    raise BadAnswer(f"it sent {MAX_INTERIM} interim answers and none that is final")


async def _read_raw_head(sock: socket.socket, buffer: bytearray, until: float) -> bytearray:
    """Take the next head out of `buffer`; receive more until it is complete."""
    end = find_head_end(buffer) if buffer else -1
    while end < 0 and len(buffer) <= MAX_HEAD:
        data = await receive(sock, until - monotonic())
        if not data and not buffer:
            raise ConnectError("it closed the connection without an answer")
        if not data:
            raise BadAnswer("it closed the connection in the middle of its answer")
        buffer += data
        end = find_head_end(buffer)
    if not 0 <= end <= MAX_HEAD:
        raise BadAnswer(f"the head of its answer is over {MAX_HEAD} bytes")
    raw = buffer[:end]
    del buffer[:end]
    return raw
