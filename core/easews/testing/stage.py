"""Filters at work for a conversation: entered, in the engine's `Pipeline`, before a fake proxy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from anyio.abc import TaskGroup

from ..addresses import Address
from ..config import Config
from ..config.model import FilterSpec, PipelineSpec, StepSpec
from ..filters import Context, Filter
from ..http import Headers
from ..messages import Close
from ..notes import Notes
from ..pipeline import Pipeline, ask_on_answer
from ..plugins import Kind
from ..services import Services
from ..sessions import Connection, Opening, Sessions, Upgrade
from .clock import Clock
from .contexts import load_config, make_context, make_filter
from .memory import MemorySession
from .peers import FakeWire

_HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]
_PROXY = "WebSocketProxy"


class Stage:
    """The filters of a conversation, entered, and the sessions that they have."""

    def __init__(self, tasks: TaskGroup, spec: PipelineSpec, filters: Mapping[str, Filter]) -> None:
        self.clock: Clock = Clock()
        self.sessions: Sessions = Sessions()
        self._tasks = tasks
        self._services = Services()
        self._services.run_in(tasks)
        self._filters = filters
        self._data = spec.data
        self._pipeline = Pipeline(spec, filters)
        self._count = 0
        self._newest: MemorySession | None = None

    async def enter(self, entered: AsyncExitStack) -> None:
        """Start the services, and enter the filters."""
        for made in dict.fromkeys(self._filters.values()):
            await self._services.ensure(made.services)
            if isinstance(made, _Backend):
                made.stage = self
            await entered.enter_async_context(made)

    async def opens(
        self,
        target: str,
        headers: Iterable[tuple[str, str]],
        client: str,
        labels: Mapping[str, str],
        notes: Iterable[object],
    ) -> tuple[Context, MemorySession | None]:
        """The handshake of a client: its context, and the session unless it was refused."""
        self._count += 1
        made = make_context(target, [*_HANDSHAKE, *headers])
        made.request.peer = made.request.client = Address(client, 50000)
        ctx = Context(
            made.request,
            id=f"test-{self._count}",
            data=self._data,
            services=self._services,
            sessions=self.sessions,
        )
        ctx.labels.update(labels)
        for note in notes:
            ctx.notes.put(note)
        await self._pipeline.run(ctx)
        await ask_on_answer(ctx)
        if isinstance(ctx.response, Upgrade):
            await ctx.response.accept(self._connection(ctx, ctx.response))
        session, self._newest = self._newest, None
        return ctx, session

    def _connection(self, ctx: Context, upgrade: Upgrade) -> Connection:
        hooks = self._pipeline.hooks_for(ctx)
        opening = Opening(
            ctx.id,
            client=ctx.request.client.host,
            route=ctx.route,
            backend=upgrade.backend,
            opened=time.time(),
            generation=1,
            labels=dict(ctx.labels),
            path=ctx.request.path,
        )
        notes: Notes = ctx.notes
        return Connection(FakeWire(), opening, sessions=self.sessions, hooks=hooks, notes=notes)

    def start(self, connection: Connection) -> None:
        """Begin the session of a handshake that has come to the backend."""
        self._newest = MemorySession(connection, self.clock, self._tasks)
        self._newest.open()

    async def ends(self) -> None:
        """End the sessions that are still open, as their clients would."""
        for session in self.sessions:
            if isinstance(session, MemorySession):
                session.end("client", Close(1000))
        await self.clock.settle()


class _Backend(Filter):
    """Answers the handshake in place of a proxy."""

    kind = "Backend of the conversation"
    unbounded_body = True
    opens_sessions = True
    stage: Stage

    async def handle(self, ctx: Context) -> None:
        ctx.response = Upgrade(
            Headers(), "websocket", "backend", self.stage.start, discard=lambda: None
        )


def staged(
    filters: tuple[Filter | type[Filter] | Config | str, ...],
) -> tuple[PipelineSpec, Mapping[str, Filter]]:
    """The flow, and the filter of each name in it."""
    first, *others = filters or (None,)
    if isinstance(first, str):
        first = load_config(first, *(each for each in others if isinstance(each, type)))
    if isinstance(first, Config):
        return _configured(first.pipelines[0])
    instances = [
        make_filter(each) if isinstance(each, type) else each
        for each in filters
        if isinstance(each, (Filter, type))
    ]
    named = {f"{each.name}-{at}": each for at, each in enumerate(instances, 1)}
    entries = [_entry(name, each) for name, each in named.items()]
    flow = [StepSpec(entry.name, entry.name, {}) for entry in entries]
    return _with_backend(PipelineSpec("conversation", tuple(entries), tuple(flow), {}), named)


def _configured(spec: PipelineSpec) -> tuple[PipelineSpec, Mapping[str, Filter]]:
    made: dict[str, Filter] = {}
    for entry in spec.filters:
        is_proxy = entry.kind.name == _PROXY
        filter_class = _Backend if is_proxy else entry.kind.filter_class
        made[entry.name] = filter_class(entry.name, entry.spec)
    if any(isinstance(each, _Backend) for each in made.values()):
        return spec, made
    return _with_backend(spec, made)


def _with_backend(
    spec: PipelineSpec, filters: Mapping[str, Filter]
) -> tuple[PipelineSpec, Mapping[str, Filter]]:
    backend = _Backend("backend of the conversation", {})
    entry = _entry(backend.name, backend)
    flow = (*spec.flow, StepSpec(entry.name, entry.name, {}))
    longer = PipelineSpec(spec.name, (*spec.filters, entry), flow, spec.data)
    return longer, {**filters, entry.name: backend}


def _entry(name: str, filter: Filter) -> FilterSpec:
    made = type(filter)
    return FilterSpec(name, Kind(made.kind, made, {}, "the-test", "0"), filter.spec)
