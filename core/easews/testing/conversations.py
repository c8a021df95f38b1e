"""A client and a backend that talk through filters, in memory and by a clock of the test's own.

The handshake goes through the engine's `Pipeline`, at whose end a proxy of the test answers; its
messages go through the engine's hooks. Nothing here decides what a filter's result means.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from ..config import Config
from ..filters import Context, Filter
from ..http import Response
from ..sessions import Ending, Session, Sessions
from .clock import Clock
from .memory import MemorySession
from .running import one_error
from .stage import Stage, staged
from .words import Peer, shown


class Conversation:
    """A session between `client` and `backend`, or the answer that refused it.

    clock     its time; it stands still but for `clock.advance`
    context   the context of its handshake, as the filters have left it
    sessions  all sessions of these filters
    """

    def __init__(self, stage: Stage, context: Context, session: MemorySession | None) -> None:
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
        closing, ending = self._opened().closing, self.ending
        if closing is None or ending is None:
            raise AssertionError(f"expected the session to end with {expected}, but it is open")
        if closing.code != code or reason not in (None, closing.reason):
            came = f"{shown(closing)} by the {ending.by}"
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
        opened = await self._stage.opens(target, headers, client, labels or {}, notes)
        return Conversation(self._stage, *opened)

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
            stage = Stage(tasks, *staged(filters))
            await stage.enter(entered)
            opened = await stage.opens(target, headers, client, labels or {}, notes)
            talk = Conversation(stage, *opened)
            try:
                yield talk
            finally:
                await stage.ends()
            await entered.aclose()
            tasks.cancel_scope.cancel()  # services
