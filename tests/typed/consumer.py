"""A package of filters as somebody else would write it, with all that it may import.

It is never run: `.ci/run` checks it with `mypy --strict` against the installed wheels. Each
`assert_type` fails where a public name has lost its type.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, assert_type

from easews import (
    Address,
    BadAnswer,
    ConnectError,
    Connection,
    Context,
    Ending,
    Filter,
    ForwardedPolicy,
    Headers,
    Notes,
    Opening,
    Request,
    Response,
    Route,
    Sender,
    Service,
    Services,
    Session,
    Sessions,
    SpecFault,
    Traffic,
    Upgrade,
    UpstreamTimeout,
    end_to_end,
    hookimpl,
    parse_network,
    problem,
)
from easews.lowlevel import READ, WRITE, Poller, Wire, make_poller, raw_socket
from easews.testing import (
    Clock,
    Conversation,
    FakeWire,
    FilterConformance,
    KindFinding,
    OpenSession,
    Peer,
    RealBackend,
    Running,
    SocketPeer,
    check_kind,
    conversation,
    gateway,
    kind_findings,
    load_config,
    make_context,
    make_filter,
    real_backend,
    real_client,
)
from easews.upstream import Answer, Attempt, Pool, Server, ask, dial, origin_of, pool_faults

DOORMAN = {"type": "object", "properties": {"field": {"type": "string"}}}
RELAYED = {"$ref": "urn:easews:common#/$defs/pool"}


@dataclass(frozen=True)
class Visitor:
    name: str


class Book(Service):
    """Counts the visitors; a service that needs no other."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.visits: dict[str, int] = {}

    async def serve(self, ready: Callable[[], None]) -> None:
        ready()

    def note(self, session: Session, ending: Ending) -> None:
        assert_type(session.opening.labels, Mapping[str, str])
        assert_type(ending.from_client, Traffic)
        assert_type(session.traffic(), tuple[Traffic, Traffic])


class Doorman(Filter):
    """Knows who comes in, and tells filters behind it."""

    kind = "Doorman"
    schema = DOORMAN
    results = ("stranger",)
    services = (Book,)

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return [SpecFault(("field",), "is empty", "a name")] if spec.get("field") == "" else []

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._field: str = spec["field"]

    async def __aenter__(self) -> Self:
        return self

    def inherit(self, previous: Filter) -> None:
        assert_type(previous.spec, Mapping[str, Any])

    async def handle(self, ctx: Context) -> str | None:
        name = assert_type(ctx.request.headers.get(self._field), str)
        if not name:
            ctx.response = problem(ctx.request, 403, "no name is given", id=ctx.id)
            return "stranger"
        ctx.notes.put(Visitor(name))
        ctx.labels["visitor"] = name
        book = assert_type(ctx.services[Book], Book)
        book.visits[name] = book.visits.get(name, 0) + 1
        sessions = assert_type(ctx.sessions.matching(visitor=name), list[Session])
        for session in sessions[:-1]:
            session.close(1008, "one session for each visitor")
        return None

    async def on_answer(self, ctx: Context) -> None:
        answer = assert_type(ctx.response, Response | Upgrade | None)
        if answer is not None:
            answer.headers.set("X-Visitor", assert_type(ctx.notes[Visitor], Visitor).name)


class Relayed(Filter):
    """Hands its clients to a server of a pool."""

    kind = "Relayed"
    schema = RELAYED

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return pool_faults(spec, ())

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._pool = Pool.from_spec(spec)
        self._policy = ForwardedPolicy()

    async def handle(self, ctx: Context) -> str | None:
        tried: list[Server] = []
        while (attempt := self._pool.next(ctx.request, tried)) is not None:
            assert_type(attempt, Attempt)
            try:
                ctx.response = await self._try(ctx, attempt)
            except ConnectError as error:
                attempt.failed(error)
                tried.append(attempt.server)
            except (UpstreamTimeout, BadAnswer) as error:
                ctx.response = problem(ctx.request, 502, str(error), id=ctx.id)
                return None
            else:
                return None
        ctx.response = problem(ctx.request, 503, "no server is left", id=ctx.id)
        return None

    async def _try(self, ctx: Context, attempt: Attempt) -> Response | Upgrade:
        wire = assert_type(await dial(attempt.server, 5.0), Wire)
        headers = assert_type(end_to_end(ctx.request.headers), Headers)
        self._policy.apply(headers, ctx.request)
        answer = await ask(wire, ctx.request.method, ctx.request.target, headers)
        attempt.succeeded()
        if assert_type(answer.status, int) != 101:
            return Response(answer.status, answer.headers, body=self._body(answer))

        def start(connection: Connection) -> None:
            self._relay(connection, wire)

        return Upgrade(Headers(), "demo", attempt.server.url, start, wire.close)

    async def _body(self, answer: Answer) -> AsyncIterator[bytes]:
        async for piece in answer.body():
            yield assert_type(piece, bytes)
        answer.close()

    def _relay(self, connection: Connection, backend: Wire) -> None:
        opening = assert_type(connection.opening, Opening)
        wire = assert_type(connection.wire, Wire)
        session = OpenSession(opening)
        connection.opened(session)
        backend.send(assert_type(connection.received, bytes))
        poller = assert_type(make_poller(), Poller)
        poller.close()
        assert_type(raw_socket(wire), socket.socket | None)
        wire.close()
        connection.over(Ending("client", 1000, "closed", 0.0))


@hookimpl
def easews_filters() -> Sequence[type[Filter]]:
    return [Doorman, Relayed]


async def test_the_kit() -> None:
    ctx = assert_type(make_context("/", [("X-Name", "ann")]), Context)
    doorman = assert_type(make_filter(Doorman, field="X-Name"), Doorman)
    await doorman.handle(ctx)
    assert_type(ctx.notes, Notes)
    assert_type(ctx.notes.get(Visitor), Visitor | None)
    assert_type(ctx.request, Request)
    assert_type(ctx.route, Route)
    assert_type(ctx.request.client, Address)
    assert_type(ctx.trace, list[tuple[str, str]])
    config = load_config("kind: HTTPServer", Doorman)
    async with gateway(config, Doorman) as running:
        assert_type(running, Running)
        assert_type(running.sessions, Sessions)
        assert_type(running.address.host, str)
    async with conversation(doorman, Doorman, headers=[("X-Name", "ann")]) as talk:
        assert_type(talk, Conversation)
        await _speak(talk.client, talk.backend)
        await assert_type(talk.clock, Clock).advance(1.5)
        assert_type(talk.session.notes[Visitor], Visitor)
        await talk.is_closed_with(1000)
    assert_type(bytes(FakeWire(b"x").sent), bytes)
    wire: Wire = FakeWire()
    wire.close()
    assert_type(origin_of("http://backend.example"), str)
    assert_type((READ, WRITE), tuple[int, int])
    parse_network("10.0.0.0/8")


async def _speak(client: Peer, backend: Peer) -> None:
    await client.sends("hi", b"hi")
    await backend.receives("hi", b"hi")
    assert_type(await client.next_message(), str | bytes)
    await client.is_closed_with(1000, "bye")


async def test_real_peers() -> None:
    async with real_backend(refuses=True) as server, real_client(server.address) as client:
        assert_type(server, RealBackend)
        assert_type(client, SocketPeer)
        await _speak(client, await server.accepts())
        await client.resets_inside("hi")


class TestDoorman(FilterConformance):
    handshake = {"headers": [("X-Name", "ann")]}  # noqa: RUF012

    def make(self) -> Filter:
        check_kind(Doorman)
        assert_type(kind_findings(Doorman), list[KindFinding])
        return make_filter(Doorman, field="X-Name")

    def sample(self, number: int, sender: Sender) -> str | bytes:
        return str(number)
