"""A request, body included, to a server over a connection that is kept, and its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic

from anyio.lowlevel import checkpoint

from ...errors import BadAnswer, ConnectError, UpstreamError, UpstreamTimeout
from ...http import Headers, Request, end_to_end
from ...http.h1 import HeadError, ResponseHead, encode_request_head
from ...net.tlserrors import TlsError
from ...net.waiting import gave_up, send_all
from ...net.wire import Wire, pending
from ..dialling.securing import alert_behind, why_lost
from .answers import Answer, AnswerReader
from .upload import Upload
from .uploads import Rest, Uploads

#: Seconds for which a server that was told of `Expect: 100-continue` may say nothing. Many know
#: nothing of it and wait for the body.
CONTINUE_TIMEOUT = 1.0

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

    upload   its body, None when there is none
    single   whether the connection serves this request only
    expects  whether the client waits for 100 before it sends its body (RFC 9110 §10.1.1)
    inform   is called with each interim answer
    source   the client's request, for servers that are told whose connection it is
    """

    method: str
    target: str
    headers: Headers
    upload: Upload | None = None
    single: bool = False
    expects: bool = False
    inform: Callable[[int, Headers], Awaitable[None]] | None = None
    source: Request | None = None
    sent: bool = field(default=False, init=False)

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent once more, when a server did not answer it."""
        return may_repeat(self.method, self.sent, self.upload is not None and self.upload.begun)


def may_repeat(method: str, sent: bool, begun: bool) -> bool:
    """Whether a request without an answer may be sent once more: when nothing of it was `sent`, or
    when asking twice does no harm; but not when its body was `begun`, which would be gone.
    """
    return not begun and (not sent or method in _IDEMPOTENT)


class Unanswered(UpstreamError):
    """The connection has ended before any byte of an answer."""


class RoundTrip:
    """One request on one connection. `answer` is there once `run` has returned.

    Then `finish` has to be called, whatever happens: it keeps the connection for the next request
    if it is in order, and closes it otherwise. `over` is called with it.
    """

    answer: Answer

    def __init__(
        self,
        wire: Wire,
        request: Onward,
        timeouts: Timeouts,
        uploads: Uploads,
        keep: Callable[[Wire, str], None],
        over: Callable[[], None],
    ) -> None:
        self._wire = wire
        self._request = request
        self._timeouts = timeouts
        self._uploads = uploads
        self._keep = keep
        self._over = over
        self._reader = AnswerReader(wire)
        self._rest: Rest | None = None

    async def run(self) -> None:
        """Send the request and wait for the head of the final answer."""
        try:
            await self._send_head()
            head = await self._final_head()
            rest = self._reader.rest()
            self.answer = Answer(self._wire, head, rest, self._request.method, self._timeouts.idle)
        except HeadError as error:
            raise BadAnswer(f"the head of its answer is refused: {error.detail}") from None
        except ConnectError as error:
            raise Unanswered(str(error)) from None
        except OSError as error:
            raise self._failure(error) from None
        upload = self._request.upload
        if upload is not None and upload.begun and not upload.done and head.status < 300:
            self._rest = self._uploads.go_on(upload, self._wire)

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self.answer.status

    def finish(self) -> Awaitable[None] | None:
        """The answer was read as far as anybody wants to. To be awaited, if there is what to."""
        if self._rest is not None:
            return self._finish_both(self._rest)
        self._over()
        upload = self._request.upload
        sent = upload is None or upload.done
        if sent and not self._request.single and self.answer.reusable:
            self._keep(self._wire, self.answer.headers.get("keep-alive"))
        else:
            self._wire.close()
        return None

    async def _finish_both(self, rest: Rest) -> None:
        self._rest = None
        try:
            await rest.stop()
        finally:
            self.finish()

    async def _send_head(self) -> None:
        request, wire = self._request, self._wire
        head = encode_request_head(request.method, request.target, request.headers)
        if request.upload is not None and not request.expects:
            request.sent = request.upload.push(wire, head) > 0
            return
        count = _send_some(wire, head)
        request.sent = count > 0
        if count < len(head):
            await send_all(wire, head[count:], self._timeouts.idle)

    async def _final_head(self) -> ResponseHead:
        """Send the body, if there is one, and pass interim answers on until the final one."""
        request = self._request
        upload = request.upload
        if upload is None or upload.done:
            await checkpoint()  # no server has answered by now
        waits = request.expects
        while True:
            if upload is not None and not (upload.done or waits or self._reader.holds):
                upload = await self._send_body(upload)
            try:
                head = await self._reader.head(monotonic() + self._patience(waits))
            except TimeoutError as error:
                if not (waits and gave_up(error)):
                    raise
                waits = False  # a server that does not know of 100
                continue
            if head.status >= 200:
                return head
            if head.status == 101:
                raise BadAnswer("it switches protocols, which nobody asked for")
            waits = waits and head.status != 100
            if head.status != 100 and request.inform is not None:
                await request.inform(head.status, end_to_end(head.headers, "content-length"))

    def _patience(self, waits: bool) -> float:
        return min(CONTINUE_TIMEOUT, self._timeouts.response) if waits else self._timeouts.response

    async def _send_body(self, upload: Upload) -> Upload | None:
        """Send until all is sent or the server says something; what there is left to be sent."""
        reader, wire = self._reader, self._wire
        try:
            come = pending(wire) and reader.has_come()
            while not (upload.done or come):
                await self._uploads.until_answer(upload, wire)
                come = reader.has_come()
        except OSError as error:
            if gave_up(error):
                idle = self._timeouts.idle
                raise UpstreamTimeout(f"it took nothing of the body for {idle:g} s") from None
            return None  # it takes no more, and may have said why
        return None if upload.done else upload

    def _failure(self, error: OSError) -> UpstreamError:
        if gave_up(error):
            return UpstreamTimeout(f"no answer within {self._timeouts.response:g} s")
        error = alert_behind(self._wire, error)
        lost = why_lost(error)
        if isinstance(error, TlsError) and not self._reader.begun:
            self._request.sent = False  # TLS has failed: nothing of it was read
        return BadAnswer(f"it broke off: {lost}") if self._reader.begun else Unanswered(lost)


def _send_some(wire: Wire, data: bytes) -> int:
    try:
        return wire.send(data)
    except BlockingIOError:
        return 0
