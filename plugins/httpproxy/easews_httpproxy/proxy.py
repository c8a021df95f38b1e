"""The filter: a request goes on to a server, and its answer back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Self

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
)
from easews.upstream import (
    Attempt,
    KeepLimits,
    KeptConnections,
    NoServer,
    Onward,
    Pools,
    RoundTrip,
    Upload,
    answer_for,
    first_answer,
    may_repeat,
    onward_headers,
    onward_target,
    passed_on,
)

from .onward import (
    Nothing,
    body_length,
    body_limit,
    expects_continue,
    has_body,
    over,
    server_headers,
    within,
)
from .settings import PoolSettings
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
    api = 1
    schema = "Proxy.json"
    results = (CLIENT_ERROR, SERVER_ERROR, FAILURE_CODE, TIMEOUT)
    services = (KeptConnections,)

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return spec_faults(spec)

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        limits = KeepLimits(
            spec["maxIdleConnsPerHost"], spec["maxIdleConns"], spec["idleConnTimeout"]
        )
        settings = partial(
            PoolSettings.from_spec, keep=limits, server_limit=spec["serverMaxBodySize"]
        )
        self._pools = Pools(spec["pools"], settings)
        self._forwarded = ForwardedPolicy()

    def inherit(self, previous: Filter) -> None:
        if isinstance(previous, Proxy):
            self._pools.inherit(previous._pools)

    async def __aenter__(self) -> Self:
        await self._pools.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._pools.__aexit__(*raised)

    async def handle(self, ctx: Context) -> str | None:
        """Ask a server; `ctx.response` is then its answer, or says why there is none."""
        ctx.rest()  # its own timeouts hold
        settings = self._pools.choose(ctx.request)
        try:
            trip = await self._ask_servers(ctx, settings)
            ctx.response = await _response(ctx, trip, settings.server_limit)
        except UpstreamError as error:
            return _report(ctx, error)
        if trip.answer.status in settings.failure_codes:
            return FAILURE_CODE
        return None

    async def _ask_servers(self, ctx: Context, settings: PoolSettings) -> RoundTrip:
        """The answer of the first server that gives one. UpstreamError when none does."""
        request, kept = ctx.request, ctx.services[KeptConnections]
        headers = onward_headers(ctx, self._forwarded)
        upload = _upload(ctx, settings, headers) if has_body(request) else None

        async def ask_one(attempt: Attempt) -> RoundTrip:
            server = attempt.server
            last = request.wants_upgrade or bool(server.via.announces)
            onward = Onward(
                request.method,
                onward_target(server, request.target),
                server_headers(request, server.own_host, headers, last=last),
                upload,
                last,
                expects_continue(request),
                ctx.inform,
                request,
            )
            trip = await settings.client.ask(kept, attempt, onward)
            settings.pool.stick(request, server, trip.answer.headers)
            return trip

        def repeatable() -> bool:
            return may_repeat(request.method, True, upload is not None and upload.begun)

        return await first_answer(settings.pool, ctx, ask_one, repeatable)


def _upload(ctx: Context, settings: PoolSettings, headers: Headers) -> Upload:
    limit = body_limit(settings.client_limit, ctx.route.body_limit)
    length = body_length(ctx.request)
    return Upload(ctx.request, length, headers, limit, settings.timeouts.idle)


async def _response(ctx: Context, trip: RoundTrip, limit: int) -> Response:
    """The answer for the client, whose body comes as the server sends it."""
    answer = trip.answer
    status, headers = answer.status, passed_on(answer.status, answer.headers)
    if 0 <= limit < answer.length:
        await _finished(trip)
        raise BadAnswer(f"{ctx.backend}: {over(limit)}")
    content = answer.content()
    if content is not None:
        await _finished(trip)
        if ctx.request.method == "HEAD":  # its Content-Length is that of another answer
            return Response(status, headers, body=Nothing())
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
    ctx.response = answer_for(ctx, error)
    if isinstance(error, NoServer):
        return INTERNAL_ERROR
    return TIMEOUT if isinstance(error, UpstreamTimeout) else SERVER_ERROR
