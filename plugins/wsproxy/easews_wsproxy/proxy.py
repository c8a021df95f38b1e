"""The filter: one handshake with a backend, then one with the client, then a session."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from easews import (
    BadAnswer,
    Connection,
    Context,
    Filter,
    ForwardedPolicy,
    Headers,
    Request,
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
    Pools,
    answer_for,
    ask,
    dial,
    first_answer,
    onward_headers,
    onward_target,
    origin_of,
    passed_on,
)

from .handshake.rules import (
    Refusal,
    backend_request,
    check_answer,
    check_request,
    client_answer,
    deflate_agreed,
    new_key,
)
from .messages.deflate import Agreed
from .messages.lane import read_messages
from .relay.compiled import COMPILED
from .relay.frames import Walker
from .relay.leg import Leg
from .relay.service import Relay
from .relay.session import RelaySession
from .settings import PoolSettings
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


class _Reply(NamedTuple):
    """What a server has answered to our handshake."""

    offer: _Offer
    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    def finish(self) -> None:
        self.answer.close()
        self.offer.attempt.over()


class WebSocketProxy(Filter):
    """Relays WebSocket sessions to the servers of a pool."""

    kind = "WebSocketProxy"
    api = 1
    schema = "WebSocketProxy.json"
    results = (CLIENT_ERROR, SERVER_ERROR, NOT_WEBSOCKET)
    services = (Relay,)
    unbounded_body = True
    opens_sessions = True
    build_note = "relay: compiled" if COMPILED else "relay: pure Python"

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return spec_faults(spec)

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._pools = Pools(spec["pools"], PoolSettings.from_spec)
        origin: str = spec.get("defaultOrigin", "")
        self._default_origin = origin and origin_of(origin)
        self._forwarded = ForwardedPolicy()

    def inherit(self, previous: Filter) -> None:
        if isinstance(previous, WebSocketProxy):
            self._pools.inherit(previous._pools)

    async def __aenter__(self) -> Self:
        await self._pools.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._pools.__aexit__(*raised)

    async def handle(self, ctx: Context) -> str | None:
        """Do both handshakes; `ctx.response` is then the 101, or says why there is none."""
        settings = self._pools.choose(ctx.request)
        refusal = check_request(ctx.request) or settings.origins.check(ctx.request)
        if refusal is not None:
            return _refuse(ctx, refusal)
        try:
            reply = await self._ask_servers(ctx, settings)
        except UpstreamError as error:
            return _report(ctx, error)
        offer, answer = reply.offer, reply.answer
        if answer.status != 101:
            headers = passed_on(answer.status, answer.headers)
            ctx.response = Response(
                answer.status, headers, body=answer.body(), on_close=reply.finish
            )
            return SERVER_ERROR
        fault = check_answer(answer.status, answer.headers, key=offer.key, offer=offer.headers)
        if fault is not None:
            reply.finish()
            return _report(ctx, BadAnswer(f"{offer.attempt.server.url}: {fault}"))
        ctx.response = _upgrade(ctx, settings, offer.attempt, answer)
        return None

    async def _ask_servers(self, ctx: Context, settings: PoolSettings) -> _Reply:
        """The first answer that a server of the pool gives. UpstreamError when none does."""
        headers = onward_headers(ctx, self._forwarded)

        async def ask_one(attempt: Attempt) -> _Reply:
            offer = self._offer(ctx, attempt, headers)
            answer = await _ask(ctx.request, offer, settings)
            settings.pool.stick(ctx.request, attempt.server, answer.headers)
            return _Reply(offer, answer)

        return await first_answer(settings.pool, ctx, ask_one)

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


async def _ask(request: Request, offer: _Offer, settings: PoolSettings) -> Answer:
    server = offer.attempt.server
    wire = await dial(server, settings.connect_timeout, request)
    try:
        return await ask(
            wire, "GET", offer.target, offer.headers, timeout=settings.handshake_timeout
        )
    except BaseException as error:
        wire.close()
        if isinstance(error, UpstreamError):
            raise type(error)(f"{server.url}: {error}") from None
        raise


def _upgrade(ctx: Context, settings: PoolSettings, attempt: Attempt, answer: Answer) -> Upgrade:
    """The 101, and the session that begins once it is sent. It keeps no request alive."""
    parameters = deflate_agreed(answer.headers)
    relay = ctx.services[Relay]

    def start(connection: Connection) -> None:
        deflate, read_limits = parameters is not None, settings.read_limits(connection.hooks)
        # Of messages that are read the inflated size is limited, which the walker does not know.
        limits = {**settings.message_limits, **dict.fromkeys(read_limits, -1)}
        client = Walker(masked=True, deflate=deflate, limit=limits["client"])
        backend = Walker(masked=False, deflate=deflate, limit=limits["backend"])
        session = RelaySession(
            connection,
            Leg("client", connection.wire, client),
            Leg("backend", answer.wire, backend),
            settings.limits,
        )
        if read_limits:
            agreed = None if parameters is None else Agreed.of(parameters)
            read_messages(session, read_limits, agreed)
        received, connection.received = connection.received, b""
        attempt.opened(session)
        relay.open(session, received, answer.received)

    key = ctx.request.headers.get("sec-websocket-key")
    headers = client_answer(answer.headers, key)
    return Upgrade(headers, "websocket", attempt.server.url, start, answer.close, lease=attempt)


def _refuse(ctx: Context, refusal: Refusal) -> str:
    """Refuse the client's handshake, unless the flow has another use for a plain request."""
    if refusal.result != NOT_WEBSOCKET or not ctx.routes(NOT_WEBSOCKET):
        ctx.response = problem(
            ctx.request, refusal.status, refusal.detail, refusal.headers, id=ctx.id
        )
    return refusal.result


def _report(ctx: Context, error: UpstreamError) -> str:
    log.warning("request %s: %s", ctx.id, error)
    ctx.response = answer_for(ctx, error)
    return INTERNAL_ERROR if isinstance(error, NoServer) else SERVER_ERROR
