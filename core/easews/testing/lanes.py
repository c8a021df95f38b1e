"""One direction of a session in memory: messages go to the hooks one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Protocol

from ..messages import Close, Data, MaybeLater, Message, Outcome, Reads, Sender
from ..sessions import Ending, Hooks, Session, Side


class Relaying(Session, Protocol):
    """What a lane needs of its session.

    ending  how it ended; None while it is open
    """

    ending: Ending | None

    def deliver(self, sender: Sender, data: Data) -> None:
        """Give it to the other side."""

    def end(self, by: Side, close: Close) -> None:
        """End the session."""

    def blame(self, sender: Sender, close: Close) -> None:
        """End it for what `sender` has sent."""

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Await `work` in a task, until the end of the session."""


class Lane:
    """One direction: a message goes to the hooks when the one before it has come out of them."""

    def __init__(self, session: Relaying, sender: Sender, hooks: Hooks | None) -> None:
        self._session = session
        self._sender = sender
        self._hooks = hooks
        self._reads: Reads | None = None if hooks is None else hooks.reads(sender)
        self._waiting: deque[Data | Close] = deque()
        self._busy = True  # until the session has opened

    @property
    def held(self) -> int:
        """Bytes of the messages that wait."""
        return sum(0 if isinstance(what, Close) else size_of(what) for what in self._waiting)

    def put(self, what: Data | Close) -> None:
        """Its sender has sent it."""
        self._waiting.append(what)
        if not self._busy:
            self.go_on()

    def go_on(self) -> None:
        """Give the hooks what waits, as far as that goes without awaiting."""
        self._busy = False
        while self._waiting and not self._busy and self._session.ending is None:
            what = self._waiting.popleft()
            if isinstance(what, Close):
                self._session.end(self._sender, what)
                return
            outcome = self._passed(Message(what, self._sender))
            if isawaitable(outcome):
                self._busy = True
                self._wait_for(outcome)
            else:
                self._deliver(outcome)

    def _wait_for(self, outcome: Awaitable[Outcome]) -> None:
        async def wait() -> None:
            self._deliver(await outcome)
            self.go_on()

        self._session.run(wait)

    def _passed(self, message: Message) -> MaybeLater:
        if self._hooks is None or self._reads is None:
            return message
        if size_of(message.data) > self._reads.max_size:
            too_big = Close(1009, f"message over {self._reads.max_size} bytes")
            self._session.blame(self._sender, too_big)
            return []
        return self._hooks.message(self._session, message)

    def _deliver(self, outcome: Outcome) -> None:
        for output in [outcome] if isinstance(outcome, Message) else outcome:
            if isinstance(output, Close):
                self._session.end("proxy", output)
            else:
                self._session.deliver(self._sender, output.data)


def size_of(data: Data) -> int:
    """Bytes that it has in a message."""
    return len(data.encode("utf-8", "surrogatepass")) if isinstance(data, str) else len(data)
