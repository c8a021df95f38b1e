"""A client and a backend that talk through filters, in memory and by a clock of the test's own.

The handshake goes through the engine's `Pipeline`, at whose end a proxy of the test answers; its
messages go through the engine's hooks. Nothing here decides what a filter's result means.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from ..addresses import Address
from ..config import Config
from ..config.model import FilterSpec, PipelineSpec, StepSpec
from ..filters import Context, Filter
from ..http import Headers, Response
from ..messages import Close
from ..notes import Notes
from ..pipeline import Pipeline, ask_on_answer
from ..plugins import Kind
from ..services import Services
from ..sessions import Connection, Ending, Opening, Session, Sessions, Upgrade
from .clock import Clock
from .contexts import load_config, make_context, make_filter
from .memory import MemorySession
from .peers import FakeWire
from .running import one_error
from .words import Peer, shown

_HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]
_PROXY = "WebSocketProxy"


class Conversation:
    """A session between `client` and `backend`, or the answer that refused it.

    clock     its time; it stands still but for `clock.advance`
    context   the context of its handshake, as the filters have left it
    sessions  all sessions of these filters
    """

    def __init__(self, stage: _Stage, context: Context, session: MemorySession | None) -> None:
        self.clock: Clock = stage.clock
        self.sessions: Sessions = stage.sessions
        self.context: Context = context
        self._stage = stage
        self._session = session

    @property
    def session(self) -> Session:
        """The session, with its `notes`. AssertionError when the handshake was refused."""
        __tracebackhide__ = True
        return self._opened()

    @property
    def client(self) -> Peer:
        """The client. AssertionError when it was refused."""
        __tracebackhide__ = True
        return self._opened().client

    @property
    def backend(self) -> Peer:
        """The backend. AssertionError when the handshake has not come to it."""
        __tracebackhide__ = True
        return self._opened().backend

    @property
    def is_open(self) -> bool:
        """Whether the handshake has led to a session that is not over."""
        return self._session is not None and self._session.ending is None

    @property
    def ending(self) -> Ending | None:
        """How the session ended; None while it is open."""
        return self._opened().ending

    def is_refused_with(self, status: int) -> None:
        """Expect that the handshake was answered with this status, and no session opened."""
        __tracebackhide__ = True
        answer = self.context.response
        if self._session is not None or not isinstance(answer, Response) or answer.status != status:
            came = "a session opened" if self._session else f"it got {self._refusal()}"
            raise AssertionError(f"expected the handshake to get {status}, but {came}")

    async def is_closed_with(self, code: int, reason: str | None = None) -> None:
        """Expect that the session is over, by a Close with this code and, unless None, reason."""
        __tracebackhide__ = True
        await self.clock.settle()
        expected = f"a Close {code}" + (f" {reason!r}" if reason is not None else "")
        ending = self.ending
        if ending is None:
            raise AssertionError(f"expected the session to end with {expected}, but it is open")
        if ending.code != code or reason not in (None, ending.cause):
            came = f"{shown(Close(ending.code, ending.cause))} by the {ending.by}"
            raise AssertionError(f"expected the session to end with {expected}, but got {came}")

    async def ends(self, code: int = 1000, reason: str = "") -> None:
        """The client closes the session. `on_close` has been called when this returns."""
        await self.client.closes(code, reason)

    async def another(
        self,
        target: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        *,
        client: str = "192.0.2.2",
        labels: Mapping[str, str] | None = None,
        notes: Iterable[object] = (),
    ) -> Conversation:
        """Another client comes past the same filters. It lasts as long as the first."""
        return await self._stage.opens(target, headers, client, labels or {}, notes)

    def _opened(self) -> MemorySession:
        __tracebackhide__ = True
        if self._session is None:
            raise AssertionError(f"expected a session, but the handshake got {self._refusal()}")
        return self._session

    def _refusal(self) -> str:
        answer = self.context.response
        return f"status {answer.status}" if answer is not None else "no answer from any filter"


@asynccontextmanager
async def conversation(
    *filters: Filter | type[Filter] | Config | str,
    target: str = "/",
    headers: Iterable[tuple[str, str]] = (),
    client: str = "192.0.2.1",
    labels: Mapping[str, str] | None = None,
    notes: Iterable[object] = (),
) -> AsyncIterator[Conversation]:
    """Have a client come past `filters`, which are entered as long as the block runs.

    `filters` are instances, such as `make_filter` makes, or classes without required fields, in
    the order of the flow. Or the first is a config, as YAML or from `load_config`: its first
    pipeline is taken, and classes behind it count as installed. Where that pipeline has a
    WebSocketProxy, the backend of the conversation takes its place; otherwise it stands at the
    end of the flow.

    target   what the client asks for
    headers  its header fields besides those of the WebSocket handshake
    client   its address
    labels, notes  what earlier filters would have left in the context
    """
    with one_error():
        async with anyio.create_task_group() as tasks, AsyncExitStack() as entered:
            stage = _Stage(tasks, *_pipeline(filters))
            await stage.enter(entered)
            talk = await stage.opens(target, headers, client, labels or {}, notes)
            try:
                yield talk
            finally:
                await stage.ends()
            await entered.aclose()
            tasks.cancel_scope.cancel()  # services


class _Stage:
    """The filters of a conversation, entered, and the sessions that they have."""

    def __init__(self, tasks: TaskGroup, spec: PipelineSpec, filters: Mapping[str, Filter]) -> None:
        self.clock = Clock()
        self.sessions = Sessions()
        self._tasks = tasks
        self._services = Services()
        self._services.run_in(tasks)
        self._filters = filters
        self._data = spec.data
        self._pipeline = Pipeline(spec, filters)
        self._count = 0
        self._newest: MemorySession | None = None

    async def enter(self, entered: AsyncExitStack) -> None:
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
    ) -> Conversation:
        """The handshake of a client, and the session that follows."""
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
        return Conversation(self, ctx, session)

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
    stage: _Stage

    async def handle(self, ctx: Context) -> None:
        ctx.response = Upgrade(
            Headers(), "websocket", "backend", self.stage.start, discard=lambda: None
        )


def _pipeline(
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
