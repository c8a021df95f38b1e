"""One HTTP/1.1 request without a body on a connection of its own, and its answer."""

from __future__ import annotations

from math import inf
from time import monotonic

from anyio.lowlevel import checkpoint

from ...errors import BadAnswer, ConnectError, UpstreamTimeout
from ...http import Headers
from ...http.h1 import HeadError, encode_request_head
from ...net.waiting import gave_up, send_all
from ...net.wire import Wire
from ..dialling.securing import alert_behind, why_lost
from .answers import Answer, AnswerReader


async def ask(
    wire: Wire, method: str, target: str, headers: Headers, timeout: float = inf
) -> Answer:
    """Send a request without a body and wait for the head of the final answer.

    Interim answers (1xx except 101) are skipped (RFC 9110 §15.2). ConnectError when the server
    closes the connection without an answer, BadAnswer when the answer is not valid HTTP or
    incomplete, UpstreamTimeout when its head does not come within `timeout` seconds. The texts of
    these errors do not name the server. The caller still owns `wire`.
    """
    until = monotonic() + timeout
    try:
        await send_all(wire, encode_request_head(method, target, headers), timeout)
        await checkpoint()  # no server has answered by now
        reader = AnswerReader(wire)
        while True:
            head = await reader.head(until)
            if head.status >= 200 or head.status == 101:
                return Answer(wire, head, reader.rest(), method)
    except OSError as error:
        if gave_up(error):
            raise UpstreamTimeout(f"no answer within {timeout:g} s") from None
        raise ConnectError(why_lost(alert_behind(wire, error))) from None
    except HeadError as error:
        raise BadAnswer(f"the head of its answer is refused: {error.detail}") from None
