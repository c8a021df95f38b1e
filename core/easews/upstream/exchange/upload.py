"""A request's body on its way to a server, never more than one piece of it in memory."""

from __future__ import annotations

import anyio

from ...errors import MessageError
from ...http import Headers, Request, passing_trailers
from ...http.h1 import encode_chunk, encode_last_chunk
from ...net.waiting import wait_for
from ...net.wire import Wire


class Upload:
    """Sends the body of `request`, framed by its `length`, or in chunks when that is None.

    begun  whether some of it was taken from the client, so that it cannot be sent once more
    done   whether all of it was sent

    `headers` are the fields of the head that the server gets: no trailer may have the name of one.
    A body over `limit` bytes raises MessageError 413, here when its `length` says so; -1 is no
    limit. The server may take nothing of it for `timeout` seconds. `send` may be cancelled
    anywhere, and called again to go on. It yields to the event loop where the body does.
    """

    def __init__(
        self,
        request: Request,
        length: int | None,
        headers: Headers,
        limit: int = -1,
        timeout: float = 60.0,
    ) -> None:
        self._request = request
        self._length = length
        self._headers = headers
        self._limit = limit
        self._timeout = timeout
        self._check_size(length or 0)
        self._size = 0
        self._unsent = memoryview(b"")
        self._read = False
        self.begun: bool = False
        self.done: bool = False

    def push(self, wire: Wire, head: bytes) -> int:
        """Send `head`, and behind it what is here of the body already, without waiting. How many
        bytes were sent; `send` goes on with the rest. Raises what `send` does.

        Most bodies are here: that saves packets, and all that waiting costs.
        """
        self._unsent = memoryview(head + self._ready())
        count = self._push(wire)
        if not self._unsent and not self._read:
            self._unsent = memoryview(self._ready())
            count += self._push(wire)
        self.done = self._read and not self._unsent
        return count

    def _push(self, wire: Wire) -> int:
        try:
            count = wire.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            return 0
        self._unsent = self._unsent[count:]
        return count

    def _ready(self) -> bytes:
        """What of the engine's own bodies is here, framed."""
        ready = getattr(self._request.body, "ready", None)
        piece = ready() if callable(ready) else b""
        if not piece:
            return b""
        self.begun = True
        return self._framed(piece)

    async def send(self, wire: Wire) -> None:
        """Send what is left. OSError when the server is gone, TimeoutError when it takes nothing.

        MessageError when the client's body is malformed, cut short or too large.
        """
        while not self.done:
            while self._unsent:
                await self._send_some(wire)
            if self._read:
                self.done = True
            else:
                self.begun = True
                self._unsent = memoryview(await self._next())

    async def _send_some(self, wire: Wire) -> None:
        try:
            self._unsent = self._unsent[wire.send(self._unsent) :]
        except BlockingIOError:
            await wait_for(anyio.wait_writable, wire, self._timeout)

    async def _next(self) -> bytes:
        """What is to be sent next, framed."""
        async for piece in self._request.body:
            return self._framed(piece)
        self._read = True
        if self._length is None:
            return encode_last_chunk(passing_trailers(self._request.trailers, self._headers))
        if self._size < self._length:
            raise self._wrong_length()
        return b""

    def _framed(self, piece: bytes) -> bytes:
        self._size += len(piece)
        self._check_size(self._size)
        if self._length is None:
            return encode_chunk(piece)
        if self._size > self._length:
            raise self._wrong_length()
        # A server may answer as soon as it has the last byte: then nothing is left to be sent.
        self._read = self._size == self._length
        return piece

    def _check_size(self, size: int) -> None:
        if 0 <= self._limit < size:
            raise MessageError(413, f"the body is over {self._limit} bytes")

    def _wrong_length(self) -> MessageError:
        # The engine's own bodies are as long as they say: a filter has put another in place.
        return MessageError(500, "the body is not as long as its Content-Length says")
