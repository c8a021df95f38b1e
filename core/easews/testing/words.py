"""The words of a conversation: what a peer sends, and what a test expects it to receive.

The peers of `conversation` have them, and those that talk over real sockets, too.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

from ..messages import Close, Data

_LONGEST = 300


class Peer(ABC):
    """One end of a session: a client or a backend.

    name   how failures call it
    heard  what has come and no expectation has taken yet; a `Close` is the last
    """

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.heard: deque[Data | Close] = deque()

    @abstractmethod
    async def sends(self, *messages: Data) -> None:
        """Send these messages, text for str and binary for bytes."""

    @abstractmethod
    async def closes(self, code: int = 1000, reason: str = "") -> None:
        """Send a Close. The session is over when this returns, unless a hook is still at what was
        sent before it.
        """

    @abstractmethod
    async def vanishes(self) -> None:
        """Be gone without a Close, as a lost connection is. The other side gets Close 1001 for a
        client, 1011 for a backend.
        """

    @abstractmethod
    async def news(self) -> str:
        """Wait until something is in `heard`. Why nothing will come, if so; else nothing."""

    @abstractmethod
    async def rest(self) -> None:
        """Wait until everything has come that is on its way."""

    async def sends_json(self, *values: Any) -> None:
        """Send each value as a text message of JSON."""
        await self.sends(*(json.dumps(value, ensure_ascii=False) for value in values))

    async def receives(self, *expected: Data) -> None:
        """Expect exactly these messages next, in this order. AssertionError says what came."""
        __tracebackhide__ = True
        for message in expected:
            came = await self._next(shown(message))
            if came != message:
                raise AssertionError(self._but(shown(message), f"received {shown(came)}"))

    async def receives_json(self, *expected: Any) -> None:
        """Expect messages next that have these values as JSON, however they are written."""
        __tracebackhide__ = True
        for value in expected:
            came = await self._next(f"the JSON {shown(value)}")
            try:
                same = not isinstance(came, Close) and json.loads(came) == value
            except ValueError:
                same = False
            if not same:
                raise AssertionError(self._but(f"the JSON {shown(value)}", f"got {shown(came)}"))

    async def next_message(self) -> Data:
        """The next message, whatever it is. AssertionError when there is none."""
        __tracebackhide__ = True
        came = await self._next("a message")
        if isinstance(came, Close):
            raise AssertionError(self._but("a message", f"received {shown(came)}"))
        return came

    async def receives_nothing(self) -> None:
        """Expect that nothing has come beside what was expected already, and nothing is coming."""
        __tracebackhide__ = True
        await self.rest()
        if self.heard:
            raise AssertionError(self._but("nothing", f"received {self._all()}"))

    async def is_closed_with(self, code: int, reason: str | None = None) -> None:
        """Expect a Close next, with this code and, unless it is None, this reason."""
        __tracebackhide__ = True
        expected = f"a Close {code}" + (f" {reason!r}" if reason is not None else "")
        came = await self._next(expected)
        right = isinstance(came, Close) and came.code == code
        if not right or (isinstance(came, Close) and reason not in (None, came.reason)):
            raise AssertionError(self._but(expected, f"received {shown(came)}"))

    async def _next(self, expected: str) -> Data | Close:
        __tracebackhide__ = True
        if not self.heard and (why := await self.news()):
            raise AssertionError(self._but(expected, why))
        if isinstance(self.heard[0], Close):
            return self.heard[0]  # nothing can come behind it
        return self.heard.popleft()

    def _but(self, expected: str, what: str) -> str:
        return f"expected the {self.name} to receive {expected}, but it {what}"

    def _all(self) -> str:
        return ", then ".join(map(shown, self.heard))


def shown(value: object) -> str:
    """A message or a Close as failures write it."""
    if isinstance(value, Close):
        return f"a Close {value.code} {value.reason!r}"
    text = repr(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}… ({len(value) if isinstance(value, (str, bytes)) else len(text)})"
