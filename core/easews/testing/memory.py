"""An open session in memory: what filters make of its messages is the engine's own doing.

client.sends ──▶ lane of the client ──▶ Hooks.message ──▶ backend.heard
client.heard ◀── Hooks.message ◀── lane of the backend ◀── backend.sends
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from math import inf

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..messages import Close, Data, Sender
from ..notes import Notes
from ..sessions import Connection, Ending, Frame, Opening, Side, Traffic
from .clock import PATIENCE, Clock
from .lanes import Lane, size_of
from .words import Peer, shown


class MemorySession:
    """The `easews.Session` of a conversation, and what relays it.

    ending   how it ended; None while it is open
    closing  the Close that ended it
    """

    def __init__(self, connection: Connection, clock: Clock, tasks: TaskGroup) -> None:
        self.opening: Opening = connection.opening
        self.notes: Notes = Notes() if connection.notes is None else connection.notes
        self.ending: Ending | None = None
        self.closing: Close | None = None
        self.client: MemoryPeer = MemoryPeer("client", self)
        self.backend: MemoryPeer = MemoryPeer("backend", self)
        self.clock: Clock = clock
        self._connection = connection
        self._hooks = connection.hooks
        self._tasks = tasks
        self._running: set[anyio.CancelScope] = set()
        self._traffic = Traffic(), Traffic()
        self._ticking = False
        self._began = clock.now
        self._lanes = {
            "client": Lane(self, "client", self._hooks),
            "backend": Lane(self, "backend", self._hooks),
        }

    def open(self) -> None:
        """Begin: messages wait until `on_open` has returned."""
        self._connection.opened(self)
        self._start(None if self._hooks is None else self._hooks.opened(self), self._opened)

    def _opened(self) -> None:
        for lane in self._lanes.values():
            lane.go_on()
        if self._hooks is not None and self._hooks.tick < inf:
            self.clock.call_at(self.clock.now + self._hooks.tick, self._tick)

    def came(self, sender: Sender, what: Data | Close) -> None:
        """A peer has sent it."""
        if self.ending is not None:
            return
        if not isinstance(what, Close):
            traffic = self._traffic[sender == "backend"]
            traffic.messages += 1
            traffic.bytes += size_of(what)
        self._lanes[sender].put(what)

    # The Session that filters see

    @property
    def held(self) -> int:
        return sum(lane.held for lane in self._lanes.values())

    def traffic(self) -> tuple[Traffic, Traffic]:
        return self._traffic

    def close(self, code: int, reason: str) -> None:
        self.end("proxy", Close(code, reason))

    def expire(self, at: float, code: int, reason: str) -> None:
        if (left := at - time.time()) <= 0:
            self.close(code, reason)
        else:
            self.clock.call_at(self.clock.now + left, lambda: self.close(code, reason))

    def ping(self) -> None:
        for traffic in self._traffic:
            traffic.rtt = 0.0

    def send_to_client(self, data: Data) -> None:
        self.client.hear(data)

    def send_to_backend(self, data: Data) -> None:
        self.backend.hear(data)

    def now(self) -> float:
        return self.clock.now

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def tap(self, tell: Callable[[Frame], None], payload: bool = False) -> None:
        """No frames here: messages are handed over as they are."""

    def deliver(self, sender: Sender, data: Data) -> None:
        """A message of `sender` has come out of the hooks."""
        (self.backend if sender == "client" else self.client).hear(data)

    # Its end

    def end(self, by: Side, close: Close, *, other: Close | None = None) -> None:
        """End it, once: hooks that are awaited are cancelled, and then `on_close` is called.

        `close` goes to the peers that have not sent it, or `other` in its place.
        """
        if self.ending is not None:
            return
        for peer in (self.client, self.backend):
            if peer.name != by:
                peer.hear(other or close)
        cause = close.reason or "closed by a filter"
        if by != "proxy":
            cause = "closed" if other is None else "lost"
        self._ends(by, close, cause)

    def blame(self, sender: Sender, close: Close) -> None:
        """End it for what `sender` has sent, as the relay does."""
        peer, other = self.client, self.backend
        if sender == "backend":
            peer, other = other, peer
        peer.hear(close)
        other.hear(Close(1001, f"the {sender} was at fault"))
        self._ends("proxy", close, f"{sender}: {close.reason}")

    def _ends(self, by: Side, close: Close, cause: str) -> None:
        self.closing = close
        duration = self.clock.now - self._began
        self.ending = ending = Ending(by, close.code, cause, duration, *self._traffic)
        for scope in list(self._running):
            scope.cancel()
            self.clock.cancels()
        self._connection.wire.close()
        hooks = self._hooks
        self._start(None if hooks is None else hooks.ended(self, ending), self._over)

    def _over(self) -> None:
        assert self.ending is not None
        self._connection.over(self.ending)

    def _tick(self) -> None:
        if self.ending is None and self._hooks is not None:
            self.clock.call_at(self.clock.now + self._hooks.tick, self._tick)
            if not self._ticking:
                self._ticking = True
                self._start(self._hooks.ticked(self), self._ticked)

    def _ticked(self) -> None:
        self._ticking = False

    def _start(self, hook: Awaitable[None] | None, then: Callable[[], None]) -> None:
        if hook is None:
            then()
            return
        awaited = hook

        async def wait() -> None:
            await awaited
            then()

        self.run(wait)

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Await `work` in a task. The end cancels what has begun before it."""
        scope = anyio.CancelScope()
        self._running.add(scope)
        self.clock.begins()
        self._tasks.start_soon(self._run, work, scope)

    async def _run(self, work: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        try:
            with scope:
                await work()
        finally:
            self._running.discard(scope)
            self.clock.ends(scope.cancel_called)


class MemoryPeer(Peer):
    """The client or the backend of a conversation. What it sends after the end is lost."""

    def __init__(self, name: Sender, session: MemorySession) -> None:
        super().__init__(name)
        self._sender: Sender = name
        self._session = session
        self._came = anyio.Event()

    def hear(self, what: Data | Close) -> None:
        """It is sent `what`."""
        if self._session.ending is None:
            self.heard.append(what)
            self._came.set()
            self._came = anyio.Event()

    async def sends(self, *messages: Data) -> None:
        for data in messages:
            self._session.came(self._sender, data)
            await checkpoint()

    async def closes(self, code: int = 1000, reason: str = "") -> None:
        self._session.came(self._sender, Close(code, reason))
        await self.rest()

    async def vanishes(self) -> None:
        code = 1011 if self._sender == "backend" else 1001
        told = Close(code, f"the {self._sender} was lost")
        self._session.end(self._sender, Close(1006), other=told)
        await self.rest()

    async def rest(self) -> None:
        await self._session.clock.settle()

    async def news(self) -> str:
        clock = self._session.clock
        await clock.settle()
        if not self.heard and self._session.ending is None and not clock.asleep:
            with anyio.move_on_after(PATIENCE):
                await self._came.wait()
        if self.heard:
            return ""
        if (closing := self._session.closing) is not None:
            return f"ended the session with {shown(closing)}"
        waits = " (a hook waits for the clock: talk.clock.advance)" if clock.asleep else ""
        return f"received nothing{waits}"
