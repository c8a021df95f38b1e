"""The line for a request as `accessLogFormat` has it, with the names that Easegress has for it.

What is asked for by its own name is shown. `URI` has no query values, and `ReqHeaders` and
`RespHeaders` have none of the headers in which credentials are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time
from typing import Any, NamedTuple

from ..filters import Context
from ..http import Headers
from ..http.h1 import RequestHead
from ..http.headers import is_header_name
from ..templates import REQUEST, Argument, Names, as_bytes, filled, header_text, parse
from .accesslog import AccessLog, OnRequest, flow_of, reason_of, without_query_values
from .logs import LINE, timestamp

# Credentials, the queries of other pages, and where browsers put tokens for WebSockets.
_LEFT_OUT = frozenset(
    {
        "authorization",
        "cookie",
        "location",
        "proxy-authorization",
        "referer",
        "sec-websocket-protocol",
        "set-cookie",
    }
)
_NONE = Headers()


class _Entry(NamedTuple):
    """What is known of a request that is over."""

    ctx: Context
    status: int
    sent: int
    seconds: float
    head: RequestHead | None
    received: int

    @property
    def target(self) -> str:
        return self.head.target if self.head else self.ctx.request.target

    @property
    def answered(self) -> Headers:
        response = self.ctx.response
        return response.headers if response is not None else _NONE


def _of_context(read: Callable[[Context], str]) -> Callable[[_Entry], str]:
    return lambda entry: read(entry.ctx)


def _of_context_by(argument: Argument[Context]) -> Argument[_Entry]:
    read, takes, meaning = argument
    return Argument(lambda entry, name: read(entry.ctx, name), takes, meaning)


NAMES: Names[_Entry] = Names(
    {
        **{name: _of_context(read) for name, read in REQUEST.plain.items()},
        # As the client has sent them: filters may have changed the request since.
        "Method": lambda entry: (entry.head or entry.ctx.request).method,
        "URI": lambda entry: without_query_values(entry.target),
        "Path": lambda entry: entry.target.partition("?")[0],
        "Host": lambda entry: (entry.head or entry.ctx.request).headers.get("host"),
        "Time": lambda entry: timestamp(time() - entry.seconds),
        "StatusCode": lambda entry: str(entry.status),
        "Duration": lambda entry: f"{entry.seconds * 1000:.3f}ms",
        "ReqSize": lambda entry: str(entry.received),
        "RespSize": lambda entry: str(entry.sent),
        "ReqHeaders": lambda entry: _all_of(entry.ctx.request.headers),
        "RespHeaders": lambda entry: _all_of(entry.answered),
        "Tags": lambda entry: _tags(entry.ctx),
        "Reason": lambda entry: as_bytes(reason_of(entry.ctx, entry.status)),
        "Backend": lambda entry: as_bytes(entry.ctx.backend),
    },
    {
        **{name: _of_context_by(argument) for name, argument in REQUEST.with_argument.items()},
        "RespHeader": Argument(
            lambda entry, name: header_text(entry.answered, name), is_header_name, "a header"
        ),
    },
)


def _all_of(headers: Headers) -> str:
    return ", ".join(
        f"{name}: {value}" for key, name, value in headers.triples if key not in _LEFT_OUT
    )


def _tags(ctx: Context) -> str:
    labels = [f"{name}={value}" for name, value in ctx.labels.items()]
    return as_bytes(" ".join(filter(None, [flow_of(ctx), *labels])))


def check_format(text: str) -> None:
    """TemplateFault when `text` has an unknown name."""
    parse(text, NAMES)


class FormattedAccessLog(AccessLog):
    """Writes requests as `text`, which is a template of `NAMES`, says."""

    def __init__(self, text: str, listeners: Sequence[OnRequest] = ()) -> None:
        super().__init__(listeners)
        self._parts = parse(text, NAMES)

    def _fields(
        self,
        ctx: Context,
        status: int,
        sent: int,
        seconds: float,
        head: RequestHead | None,
        received: int,
    ) -> dict[str, Any]:
        line = filled(self._parts, _Entry(ctx, status, sent, seconds, head, received))
        if not line.isascii():  # one character for each byte, as headers have it
            line = line.encode("latin-1", "backslashreplace").decode("utf-8", "backslashreplace")
        return {LINE: line}
