"""What the access log says: one line a request, one more when a session ends. Values only.

`path` and `target` are the request's, `route` is the path of the config that it matched. Query
values are left out, because browsers put tokens there; so are headers. `logs` formats the lines
and writes them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..filters import Context
from ..http import Response
from ..http.h1 import RequestHead
from ..sessions import Ending, Session
from .logs import log_event

log: logging.Logger = logging.getLogger("easews.access")

_query_part = re.compile(r"[^&;]+")
# Letters, digits, and the brackets of lists.
_plain_name = re.compile(r"(?:[\w.~\[\]-]|%5[BbDd])*", re.ASCII).fullmatch


#: Is called with a request that is over, its status as in the log, and its seconds.
OnRequest = Callable[[Context, int, float], None]


class AccessLog:
    """Its methods fit the places where things end: a request, and a session (`Sessions.on_end`).

    `listeners` hear of each request, too.
    """

    def __init__(self, listeners: Sequence[OnRequest] = ()) -> None:
        self._listeners = listeners

    def request(
        self,
        ctx: Context,
        status: int,
        sent: int,
        seconds: float,
        head: RequestHead | None = None,
        received: int = 0,
    ) -> None:
        """`sent` and `received` are the sizes of the answer's and the request's body in bytes. A
        status of 101 opens a session; 499 is a client that left before its answer, 0 an answer
        that never came. `head` is what the client has sent; filters change `ctx.request`.
        """
        log_event(log, "request", self._fields(ctx, status, sent, seconds, head, received))
        for listener in self._listeners:
            listener(ctx, status, seconds)

    def _fields(
        self,
        ctx: Context,
        status: int,
        sent: int,
        seconds: float,
        head: RequestHead | None,
        received: int,
    ) -> dict[str, Any]:
        """What the log says of a request."""
        request, route = ctx.request, ctx.route
        asked = head or request
        fields = {
            "id": ctx.id,
            "client": request.client.host,
            "host": asked.headers.get("host"),
            "method": asked.method,
            "target": without_query_values(asked.target),
            "status": status,
            "reason": reason_of(ctx, status),
            "sent": sent,
            "ms": round(seconds * 1000, 3),
            "server": route.server,
            "route": route.path,
            "pipeline": route.pipeline,
            "backend": ctx.backend,
            "flow": flow_of(ctx),
        }
        if ctx.labels:
            fields |= _labelled(ctx.labels)
        return fields

    def session_ended(self, session: Session, ending: Ending) -> None:
        """`code` and `cause` are those of `closed_by`, who closed first."""
        opening = session.opening
        fields = {
            "id": opening.id,
            "client": opening.client,
            "path": opening.path,
            "server": opening.route.server,
            "route": opening.route.path,
            "pipeline": opening.route.pipeline,
            "backend": opening.backend,
            "closed_by": ending.by,
            "code": ending.code,
            "cause": ending.cause,
            "seconds": round(ending.duration, 3),
            "handshake_ms": round(opening.handshake * 1000, 3),
            "messages_in": ending.from_client.messages,
            "bytes_in": ending.from_client.bytes,
            "messages_out": ending.from_backend.messages,
            "bytes_out": ending.from_backend.bytes,
        }
        for side, traffic in (("client", ending.from_client), ("backend", ending.from_backend)):
            if traffic.rtt is not None:
                fields[f"{side}_rtt_ms"] = round(traffic.rtt * 1000, 3)
        fields |= _labelled(opening.labels)
        log_event(log, "session", fields)


def flow_of(ctx: Context) -> str:
    """The filters that were called, each with its result."""
    return " ".join(f"{name}:{result}" if result else name for name, result in ctx.trace)


def _labelled(labels: Mapping[str, str]) -> dict[str, str]:
    return {f"label.{name}": value for name, value in labels.items()}


def reason_of(ctx: Context, status: int) -> str:
    """Why the client was refused, if that is what it was told."""
    response = ctx.response
    if isinstance(response, Response) and response.status == status:
        return response.reason
    return ""


def without_query_values(target: str) -> str:
    """`/ws?token=secret&v=2` as `/ws?token=&v=`.

    A part without a value may itself be one (`/ws?secret`), and so may what stands before the
    padding of base64, or before an encoded `=` or `&`: of these nothing is left.
    """
    path, mark, query = target.partition("?")
    return path + mark + _query_part.sub(_name_only, query) if mark else path


def _name_only(part: re.Match[str]) -> str:
    name, _, value = part[0].partition("=")
    return f"{name}=" if value.strip("=") and _plain_name(name) else ""
