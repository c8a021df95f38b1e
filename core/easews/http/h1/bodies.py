"""Bodies: where they end, and how they are read (RFC 9112 §6). No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..headers import Headers
from .chunks import NO_TRAILERS, ChunkDecoder
from .faults import BodyError
from .heads import RequestHead, ResponseHead, check_framing


@dataclass(frozen=True, slots=True)
class Framing:
    """What marks the end of a body: there is none, its length, chunks, the end of the stream."""

    kind: Literal["none", "length", "chunked", "close"]
    length: int = 0


NO_BODY = Framing("none")
CHUNKED = Framing("chunked")
UNTIL_CLOSE = Framing("close")


def request_framing(head: RequestHead) -> Framing:
    """How the request's body ends (RFC 9112 §6.3). A request never ends by the close."""
    return _declared(head.headers) or NO_BODY


def response_framing(head: ResponseHead, method: str) -> Framing:
    """How the body of the answer to a `method` request ends (RFC 9112 §6.3).

    HeadError when the head says it in two ways; where there is no body, nothing that it says of
    one matters.
    """
    if method == "HEAD" or head.status < 200 or head.status in (204, 304):
        return NO_BODY
    check_framing(head.headers, head.version, 502)
    return _declared(head.headers) or UNTIL_CLOSE


def _declared(headers: Headers) -> Framing | None:
    found = headers.by_name
    if "transfer-encoding" in found:
        return CHUNKED
    if "content-length" not in found:
        return None
    length = int(found["content-length"][0])
    return Framing("length", length) if length else NO_BODY


class BodyReader:
    """Takes what was received behind a head and gives the body's bytes.

    Feed it until `done`. What came behind the body's end is then in `leftover`: the next
    request, or the first bytes of another protocol. `trailers` are the fields behind it.
    """

    def __init__(self, framing: Framing) -> None:
        self.done: bool = framing.kind == "none"
        self.leftover: bytes = b""
        self._missing = framing.length if framing.kind == "length" else None
        self._chunked = ChunkDecoder() if framing.kind == "chunked" else None

    @property
    def trailers(self) -> Headers:
        """The trailer fields of a chunked body that is done; otherwise none. Not to be changed."""
        return NO_TRAILERS if self._chunked is None else self._chunked.trailers

    def feed(self, data: bytes) -> bytes:
        """The part of the body in `data`, without chunks' framing. BodyError when malformed."""
        if self.done:
            self.leftover += data
            return b""
        if self._chunked is not None:
            return self._feed_chunked(self._chunked, data)
        if self._missing is None:
            return data
        body, self.leftover = data[: self._missing], data[self._missing :]
        self._missing -= len(body)
        self.done = not self._missing
        return body

    def feed_eof(self) -> None:
        """The stream has ended. BodyError when the body is not complete."""
        if not self.done and (self._chunked is not None or self._missing is not None):
            raise BodyError(400, "the connection ended before the body did")
        self.done = True

    def _feed_chunked(self, decoder: ChunkDecoder, data: bytes) -> bytes:
        body = decoder.feed(data)
        if decoder.done:
            self.done, self.leftover = True, bytes(decoder.held)
        return body
