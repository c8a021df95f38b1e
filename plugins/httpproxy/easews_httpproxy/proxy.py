"""The filter: a request goes on to a server, and its answer back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import anyio

from easews import (
    BadAnswer,
    Context,
    Filter,
    ForwardedPolicy,
    Headers,
    Response,
    SpecFault,
    UpstreamError,
    UpstreamTimeout,
    problem,
)
from easews.upstream import (
    Attempt,
    Client,
    KeepLimits,
    KeptConnections,
    NoServer,
    Onward,
    Pool,
    RoundTrip,
    Timeouts,
    Upload,
    first_answer,
    onward_headers,
    onward_target,
    passed_on,
    told_of,
)

from .onward import (
    body_length,
    body_limit,
    expects_continue,
    has_body,
    nothing,
    over,
    server_headers,
    within,
)
from .spec import spec_faults

log: logging.Logger = logging.getLogger("easews.httpproxy")

CLIENT_ERROR = "clientError"
SERVER_ERROR = "serverError"
INTERNAL_ERROR = "internalError"
FAILURE_CODE = "failureCode"
TIMEOUT = "timeout"


class Proxy(Filter):
    """Sends plain HTTP requests on to the servers of a pool."""

    kind = "Proxy"
    schema = "Proxy.json"
    results = (CLIENT_ERROR, SERVER_ERROR, FAILURE_CODE, TIMEOUT)
    services = (KeptConnections,)

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return spec_faults(spec)

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        pool = spec["pools"][0]
        self._pool = Pool.from_spec(pool)
        self._forwarded = ForwardedPolicy()
        self._timeouts = Timeouts(**pool["timeouts"])
        limits = KeepLimits(
            spec["maxIdleConnsPerHost"], spec["maxIdleConns"], spec["idleConnTimeout"]
        )
        self._client = Client(self._timeouts, limits)
        self._timeout: float = pool["timeout"]
        self._failure_codes = frozenset(pool["failureCodes"])
        self._client_limit: int | None = pool.get("clientMaxBodySize")
        self._server_limit: int = pool.get("serverMaxBodySize", spec["serverMaxBodySize"])

    async def handle(self, ctx: Context) -> str | None:
        """Ask a server; `ctx.response` is then its answer, or says why there is none."""
        ctx.rest()  # its own timeouts hold
        try:
            if self._timeout:
                trip = await self._ask_in_time(ctx)
            else:
                trip = await self._ask_servers(ctx)
            ctx.response = await self._response(ctx, trip)
        except UpstreamError as error:
            return _report(ctx, error)
        if trip.answer.status in self._failure_codes:
            return FAILURE_CODE
        return None

    async def _ask_in_time(self, ctx: Context) -> RoundTrip:
        with anyio.move_on_after(self._timeout):
            return await self._ask_servers(ctx)
        raise UpstreamTimeout(f"{ctx.backend}: no answer within {self._timeout:g} s (timeout)")

    async def _ask_servers(self, ctx: Context) -> RoundTrip:
        """The answer of the first server that gives one. UpstreamError when none does."""
        request, kept = ctx.request, ctx.services[KeptConnections]
        headers = onward_headers(ctx, self._forwarded)
        upload = self._upload(ctx, headers) if has_body(request) else None

        async def ask_one(attempt: Attempt) -> RoundTrip:
            server, last = attempt.server, request.wants_upgrade
            onward = Onward(
                request.method,
                onward_target(server, request.target),
                server_headers(request, server.own_host, headers, last=last),
                upload,
                last,
                expects_continue(request),
                ctx.inform,
            )
            return await self._client.ask(kept, attempt, onward)

        return await first_answer(self._pool, ctx, ask_one)

    def _upload(self, ctx: Context, headers: Headers) -> Upload:
        limit = body_limit(self._client_limit, ctx.route.body_limit)
        length = body_length(ctx.request)
        return Upload(ctx.request, length, headers, limit, self._timeouts.idle)

    async def _response(self, ctx: Context, trip: RoundTrip) -> Response:
        """The answer for the client, whose body comes as the server sends it."""
        answer = trip.answer
        status, headers = answer.status, passed_on(answer.status, answer.headers)
        limit = self._server_limit
        if 0 <= limit < answer.length:
            await _finished(trip)
            raise BadAnswer(f"{ctx.backend}: {over(limit)}")
        content = answer.content()
        if content is not None:
            await _finished(trip)
            if ctx.request.method == "HEAD":  # its Content-Length is that of another answer
                return Response(status, headers, body=nothing())
            return Response(status, headers, content)
        body = answer.body() if limit < 0 else within(answer.body(), limit)
        for names in answer.headers.get_all("trailer"):
            headers.add("Trailer", names)
        return Response(status, headers, body=body, trailers=answer.trailers, on_close=trip.finish)


async def _finished(trip: RoundTrip) -> None:
    if (closing := trip.finish()) is not None:
        await closing


def _report(ctx: Context, error: UpstreamError) -> str:
    log.warning("request %s: %s", ctx.id, error)
    ctx.response = problem(ctx.request, *told_of(error), id=ctx.id)
    if isinstance(error, NoServer):
        return INTERNAL_ERROR
    return TIMEOUT if isinstance(error, UpstreamTimeout) else SERVER_ERROR
