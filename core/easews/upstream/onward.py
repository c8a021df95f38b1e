"""What goes on to a server, and back to the client, as rules over values.   (pure)

Proxies of every protocol share them: what is meant for one hop stays on that hop, and what a
client is told of a failure names no server.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConnectError, UpstreamError, UpstreamTimeout
from ..filters import Context
from ..http import Headers, Response, end_to_end
from ..http.forwarded import ForwardedPolicy
from ..http.problems import problem
from .servers import Server


class NoServer(UpstreamError):
    """There is no server to try.

    retry_after  seconds after which the client may try once more
    """

    retry_after: int = 5


class Busy(NoServer):
    """Every server is full."""

    retry_after: int = 1


def onward_headers(ctx: Context, policy: ForwardedPolicy) -> Headers:
    """The request's headers, with X-Forwarded-* as `policy` has it unless a filter wrote them.

    X-Forwarded-For is left out where the server's `xForwardedFor` is false.
    """
    headers = ctx.request.headers
    if not ctx.forwarded:
        headers = headers.copy()
        if not ctx.route.forwarded_for:
            policy = replace(policy, fields=[name for name in policy.fields if name != "for"])
        policy.apply(headers, ctx.request)
    return headers


def onward_target(server: Server, target: str) -> str:
    """The client's target, below the path of the server's URL; `*` stays what it is."""
    return target if target == "*" else server.path.rstrip("/") + target


def passed_on(status: int, answer_headers: Headers) -> Headers:
    """The headers of an answer for the client, from those of the server's."""
    # RFC 9112 §6.1: a length beside a transfer coding is not forwarded.
    doubtful = ("content-length",) if "transfer-encoding" in answer_headers else ()
    onward = end_to_end(answer_headers, *doubtful)
    if status == 426 and (protocols := answer_headers.get_all("upgrade")):
        # RFC 9110 §15.5.22: without Upgrade nobody knows what is required.
        onward.add("Connection", "Upgrade")
        for protocol in protocols:
            onward.add("Upgrade", protocol)
    return onward


# What the client is told of each error. Names and addresses of servers are for the log only.
_ANSWERS: tuple[tuple[type[UpstreamError], int, str], ...] = (
    (Busy, 503, "every server has as much to do as it may"),
    (NoServer, 503, "no server is available"),
    (UpstreamTimeout, 504, "the server did not answer in time"),
    (ConnectError, 502, "no server could be reached"),
    (UpstreamError, 502, "the server gave an invalid answer"),
)


def answer_for(ctx: Context, error: UpstreamError) -> Response:
    """The answer that a client gets for `error`."""
    status, text = next((code, text) for kind, code, text in _ANSWERS if isinstance(error, kind))
    later = str(error.retry_after) if isinstance(error, NoServer) else ""
    headers = [("Retry-After", later)] if later else []
    return problem(ctx.request, status, text, headers, id=ctx.id)
