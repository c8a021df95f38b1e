"""How much a client may send: a token bucket for messages, one for bytes. Arithmetic, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Rate:
    """Messages and bytes a second; infinity is no limit. `close`: over it, the session ends
    rather than waits.
    """

    messages: float = inf
    bytes: float = inf
    close: bool = False


class Meter:
    """What one session has used up of its rate. A second's worth may come at once."""

    __slots__ = ("_bytes", "_messages", "_rate", "_seen", "_updated")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._messages = rate.messages  # that may still come at once
        self._bytes = rate.bytes
        self._seen = (0, 0)
        self._updated = now

    def take(self, messages: int, size: int, now: float) -> float:
        """Account for what has come, which is so much in all. For how many seconds nothing more
        may come; mostly 0.
        """
        rate, passed = self._rate, now - self._updated
        new_messages, new_bytes = messages - self._seen[0], size - self._seen[1]
        self._seen, self._updated = (messages, size), now
        self._messages = min(rate.messages, self._messages + passed * rate.messages) - new_messages
        self._bytes = min(rate.bytes, self._bytes + passed * rate.bytes) - new_bytes
        return max(0.0, -self._messages / rate.messages, -self._bytes / rate.bytes)
