"""A request, body included, to a server over a connection that is kept, and its answer."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

from anyio.lowlevel import checkpoint

from ..errors import BadAnswer, ConnectError, UpstreamError, UpstreamTimeout
from ..http import Headers
from ..http.h1 import HeadError, encode_request_head
from ..net.waiting import send_all
from .answers import Answer, AnswerReader
from .dialling import dial
from .keeping import KeepLimits
from .kept import KeptConnections
from .pool import Attempt
from .upload import Upload

# RFC 9110 §9.2.2: asking twice has the effect of asking once.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a server may take, in seconds.

    connect   for the TCP connection
    response  for the head of the answer, once the request is sent
    idle      for the next bytes of the answer, or to take the next bytes of the request
    """

    connect: float = 5.0
    response: float = 60.0
    idle: float = 60.0


@dataclass(slots=True)
class Onward:
    """A request as a server gets it.

    upload  its body, None when there is none
    single  whether the connection serves this request only
    """

    method: str
    target: str
    headers: Headers
    upload: Upload | None = None
    single: bool = False
    sent: bool = field(default=False, init=False)

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent once more, when a server did not answer it."""
        if not self.sent:
            return True
        begun = self.upload is not None and self.upload.begun
        return self.method in _IDEMPOTENT and not begun


class _Unanswered(UpstreamError):
    """The connection has ended before any byte of an answer."""


class RoundTrip:
    """One request on one connection. `answer` is there once `run` has returned.

    Then `finish` has to be called, whatever happens: it keeps the connection for the next request
    if it is in order, and closes it otherwise.
    """

    answer: Answer

    def __init__(
        self,
        sock: socket.socket,
        request: Onward,
        timeouts: Timeouts,
        keep: Callable[[socket.socket], None],
    ) -> None:
        self._sock = sock
        self._request = request
        self._timeouts = timeouts
        self._keep = keep

    async def run(self) -> None:
        """Send the request and wait for the head of the final answer."""
        request, reader = self._request, AnswerReader(self._sock)
        try:
            await self._send()
            until = monotonic() + self._timeouts.response
            while (head := await reader.head(until)).status < 200:
                if head.status == 101:
                    raise BadAnswer("it switches protocols, which nobody asked for")
            answer = Answer(self._sock, head, reader.rest(), request.method, self._timeouts.idle)
        except HeadError as error:
            raise BadAnswer(f"the head of its answer is refused: {error.detail}") from None
        except ConnectError as error:
            raise _Unanswered(str(error)) from None
        except OSError as error:
            raise self._failure(error, reader.begun) from None
        self.answer = answer

    async def _send(self) -> None:
        request, sock = self._request, self._sock
        head = encode_request_head(request.method, request.target, request.headers)
        count = _send_some(sock, head)
        request.sent = count > 0
        if count < len(head):
            await send_all(sock, head[count:], self._timeouts.idle)
        if request.upload is not None:
            await request.upload.send(sock)
        await checkpoint()  # no server has answered by now

    def finish(self) -> None:
        """The answer was read as far as anybody wants to."""
        upload = self._request.upload
        sent = upload is None or upload.done
        if sent and not self._request.single and self.answer.reusable:
            self._keep(self._sock)
        else:
            self._sock.close()

    def _failure(self, error: OSError, begun: bool) -> UpstreamError:
        # The kernel's ETIMEDOUT is a TimeoutError too: a connection that was lost, as by a reset.
        if isinstance(error, TimeoutError) and not error.errno:
            return UpstreamTimeout(f"no answer within {self._timeouts.response:g} s")
        lost = error.strerror or str(error)
        return BadAnswer(f"it broke its answer off: {lost}") if begun else _Unanswered(lost)


def _send_some(sock: socket.socket, data: bytes) -> int:
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0


class Client:
    """Sends requests to the servers of a pool over connections that are kept."""

    def __init__(self, timeouts: Timeouts, limits: KeepLimits) -> None:
        self._timeouts = timeouts
        self._limits = limits

    async def ask(self, kept: KeptConnections, attempt: Attempt, request: Onward) -> RoundTrip:
        """Send `request` to the attempt's server; the result has the head of its answer.

        ConnectError when there was no answer and another server may be asked; UpstreamTimeout,
        or BadAnswer, otherwise. MessageError when the client's body cannot be read on.

        A server may close a kept connection in the moment in which it is used again. So what may
        be sent once more is, on another connection.
        """
        server = attempt.server
        while True:
            sock = kept.take(attempt.standing)
            reused = sock is not None
            if sock is None:
                sock = await dial(server, self._timeouts.connect)
            keep = partial(kept.give, attempt.standing, limits=self._limits)
            trip = RoundTrip(sock, request, self._timeouts, keep)
            try:
                await trip.run()
                return trip
            except _Unanswered as error:
                sock.close()
                if not request.repeatable:
                    raise BadAnswer(f"{server.url}: {error}") from None
                if not reused:
                    raise ConnectError(f"{server.url}: {error}") from None
            except BaseException as error:
                sock.close()
                if isinstance(error, UpstreamError):
                    raise type(error)(f"{server.url}: {error}") from None
                raise
