"""Bodies: where they end, and how they are read and written (RFC 9112 §§6-7). No I/O.

Chunked bodies are decoded by h11; everything else is counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import h11

from ..http import Headers
from .faults import BodyError
from .heads import RequestHead, ResponseHead

#: What ends a chunked body; we send no trailers.
LAST_CHUNK = b"0\r\n\r\n"

# h11 only decodes a body behind a head; this one stands for the real head, already checked.
_CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: -\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Framing:
    """How the end of a body is told: there is none, by its length, by chunks, by the close."""

    kind: Literal["none", "length", "chunked", "close"]
    length: int = 0


NO_BODY = Framing("none")
CHUNKED = Framing("chunked")
UNTIL_CLOSE = Framing("close")


def request_framing(head: RequestHead) -> Framing:
    """How the request's body ends (RFC 9112 §6.3). A request never ends by the close."""
    return _declared(head.headers) or NO_BODY


def response_framing(head: ResponseHead, method: str) -> Framing:
    """How the body of the answer to a `method` request ends (RFC 9112 §6.3)."""
    if method == "HEAD" or head.status < 200 or head.status in (204, 304):
        return NO_BODY
    return _declared(head.headers) or UNTIL_CLOSE


def _declared(headers: Headers) -> Framing | None:
    if "transfer-encoding" in headers:
        return CHUNKED
    length = headers.get("content-length")
    if not length:
        return None
    return Framing("length", int(length)) if int(length) else NO_BODY


class BodyReader:
    """Takes what was received behind a head and gives the body's bytes.

    Feed it until `done`. What came behind the body's end is then in `leftover`: the next
    request, or the first bytes of another protocol.
    """

    def __init__(self, framing: Framing) -> None:
        self.done = framing.kind == "none"
        self.leftover = b""
        self._missing = framing.length if framing.kind == "length" else None
        self._chunked = _chunked_decoder() if framing.kind == "chunked" else None

    def feed(self, data: bytes) -> bytes:
        """The part of the body in `data`, chunks' frames taken off. BodyError when malformed."""
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
        """The sender will send no more. BodyError when that cuts the body short."""
        if not self.done and (self._chunked is not None or self._missing is not None):
            raise BodyError(400, "the connection ended before the body did")
        self.done = True

    def _feed_chunked(self, decoder: h11.Connection, data: bytes) -> bytes:
        body = []
        try:
            decoder.receive_data(data)
            while (event := decoder.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.EndOfMessage):
                    self.done = True
                    self.leftover = decoder.trailing_data[0]
                    break
                if isinstance(event, h11.Data):
                    body.append(event.data)
        except h11.RemoteProtocolError as error:
            raise BodyError(400, f"the chunked body is malformed: {error}") from error
        return b"".join(body)


def _chunked_decoder() -> h11.Connection:
    decoder = h11.Connection(h11.SERVER)
    decoder.receive_data(_CHUNKED_HEAD)
    decoder.next_event()
    return decoder


def encode_chunk(data: bytes) -> bytes:
    """One chunk. Nothing for no data, as an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
