"""The filter: one handshake with a backend, then one with the client, then a session."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, NamedTuple

from easews import (
    BadAnswer,
    Connection,
    Context,
    Filter,
    ForwardedPolicy,
    Headers,
    Response,
    SpecFault,
    Upgrade,
    UpstreamError,
    problem,
)
from easews.upstream import (
    Answer,
    Attempt,
    NoServer,
    Pool,
    ask,
    dial,
    first_answer,
    onward_headers,
    onward_target,
    origin_of,
    passed_on,
    told_of,
)

from .handshake.origin import OriginPolicy
from .handshake.rules import (
    Refusal,
    backend_request,
    check_answer,
    check_request,
    client_answer,
    deflate_agreed,
    new_key,
)
from .relay.compiled import COMPILED
from .relay.frames import Walker
from .relay.leg import Leg
from .relay.rates import Rate
from .relay.service import Relay
from .relay.session import RelaySession
from .relay.watchdog import Limits
from .spec import spec_faults

log: logging.Logger = logging.getLogger("easews.wsproxy")

CLIENT_ERROR = "clientError"
SERVER_ERROR = "serverError"
INTERNAL_ERROR = "internalError"
NOT_WEBSOCKET = "notWebSocket"


class _Offer(NamedTuple):
    """Our handshake with one server: what is sent, and what its answer is judged by."""

    attempt: Attempt
    target: str
    headers: Headers
    key: str


class WebSocketProxy(Filter):
    """Relays WebSocket sessions to the servers of a pool."""

    kind = "WebSocketProxy"
    schema = "WebSocketProxy.json"
    results = (CLIENT_ERROR, SERVER_ERROR, NOT_WEBSOCKET)
    services = (Relay,)
    unbounded_body = True
    build_note = "relay: compiled" if COMPILED else "relay: pure Python"

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return spec_faults(spec)

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        pool = spec["pools"][0]
        timeouts = pool["timeouts"]
        self._pool = Pool.from_spec(pool, policy="leastConnections")
        self._origins = OriginPolicy(pool["originPatterns"], pool["insecureSkipVerify"])
        origin: str = spec.get("defaultOrigin", "")
        self._default_origin = origin and origin_of(origin)
        self._forwarded = ForwardedPolicy()
        self._connect_timeout: float = timeouts["connect"]
        self._handshake_timeout: float = timeouts["handshake"]
        self._limits = _limits(pool)
        self._client_limit: int = pool["clientMaxMsgSize"]
        self._server_limit: int = pool["serverMaxMsgSize"]

    async def handle(self, ctx: Context) -> str | None:
        """Do both handshakes; `ctx.response` is then the 101, or says why there is none."""
        refusal = check_request(ctx.request) or self._origins.check(ctx.request)
        if refusal is not None:
            return _refuse(ctx, refusal)
        try:
            offer, answer = await self._ask_servers(ctx)
        except UpstreamError as error:
            return _report(ctx, error)
        if answer.status != 101:
            headers = passed_on(answer.status, answer.headers)

            def close() -> None:
                answer.close()
                offer.attempt.over()

            ctx.response = Response(answer.status, headers, body=answer.body(), on_close=close)
            return SERVER_ERROR
        fault = check_answer(answer.status, answer.headers, key=offer.key, offer=offer.headers)
        if fault is not None:
            answer.close()
            offer.attempt.over()
            return _report(ctx, BadAnswer(f"{offer.attempt.server.url}: {fault}"))
        ctx.response = self._upgrade(ctx, offer.attempt, answer)
        return None

    async def _ask_servers(self, ctx: Context) -> tuple[_Offer, Answer]:
        """The first answer that a server of the pool gives. UpstreamError when none does."""
        headers = onward_headers(ctx, self._forwarded)

        async def ask_one(attempt: Attempt) -> tuple[_Offer, Answer]:
            offer = self._offer(ctx, attempt, headers)
            return offer, await self._ask(offer)

        return await first_answer(self._pool, ctx, ask_one)

    def _offer(self, ctx: Context, attempt: Attempt, headers: Headers) -> _Offer:
        key, server = new_key(), attempt.server
        onward = backend_request(
            ctx.request,
            host=server.own_host,
            key=key,
            default_origin=self._default_origin,
            headers=headers,
        )
        return _Offer(attempt, onward_target(server, ctx.request.target), onward, key)

    async def _ask(self, offer: _Offer) -> Answer:
        server = offer.attempt.server
        sock = await dial(server, self._connect_timeout)
        try:
            return await ask(
                sock, "GET", offer.target, offer.headers, timeout=self._handshake_timeout
            )
        except BaseException as error:
            sock.close()
            if isinstance(error, UpstreamError):
                raise type(error)(f"{server.url}: {error}") from None
            raise

    def _upgrade(self, ctx: Context, attempt: Attempt, answer: Answer) -> Upgrade:
        """The 101, and the session that begins once it is sent. It keeps no request alive."""
        deflate = deflate_agreed(answer.headers)
        limits, relay = self._limits, ctx.services[Relay]
        client_limit, server_limit = self._client_limit, self._server_limit

        def start(connection: Connection) -> None:
            client = Walker(masked=True, deflate=deflate, limit=client_limit)
            backend = Walker(masked=False, deflate=deflate, limit=server_limit)
            session = RelaySession(
                connection,
                Leg("client", connection.wire, client),
                Leg("backend", answer.sock, backend),
                limits,
            )
            received, connection.received = connection.received, b""
            relay.open(session, received, answer.received)

        key = ctx.request.headers.get("sec-websocket-key")
        headers = client_answer(answer.headers, key)
        return Upgrade(
            headers, "websocket", attempt.server.url, start, answer.close, release=attempt.over
        )


def _limits(pool: Mapping[str, Any]) -> Limits:
    timeouts, keep_alive, rate = pool["timeouts"], pool["keepAlive"], pool.get("clientRateLimit")
    return Limits(
        close=timeouts["close"],
        slow_reader=timeouts["slowReader"],
        ping_interval=keep_alive["interval"] or inf,
        ping_timeout=keep_alive["timeout"],
        idle=timeouts["idle"] or inf,
        max_age=timeouts["maxAge"] or inf,
        client_rate=None if rate is None else _rate(rate),
        backend_lost_code=pool["backendLostCode"],
    )


def _rate(spec: Mapping[str, Any]) -> Rate:
    size = spec["bytes"]
    return Rate(spec.get("messages", inf), size if size > 0 else inf, spec["over"] == "close")


def _refuse(ctx: Context, refusal: Refusal) -> str:
    """Refuse the client's handshake, unless the flow has another use for a plain request."""
    if refusal.result != NOT_WEBSOCKET or not ctx.routes(NOT_WEBSOCKET):
        ctx.response = problem(
            ctx.request, refusal.status, refusal.detail, refusal.headers, id=ctx.id
        )
    return refusal.result


def _report(ctx: Context, error: UpstreamError) -> str:
    log.warning("request %s: %s", ctx.id, error)
    ctx.response = problem(ctx.request, *told_of(error), id=ctx.id)
    return INTERNAL_ERROR if isinstance(error, NoServer) else SERVER_ERROR
