"""Which connections are kept for the next request, and for how long.   (pure)

The rules know nothing of sockets and read no clock: whoever owns the connections closes those
that these methods return.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class KeepLimits:
    """How many connections are kept while nobody uses them, and for how long.

    per_server  at most so many for one server
    in_all      at most so many for all servers together
    idle        seconds after which one is closed
    """

    per_server: int = 1024
    in_all: int = 10240
    idle: float = 60.0


# What servers write, as in `timeout=5, max=100`.
_timeout = re.compile(r"(?:^|[,;])[ \t]*timeout=([0-9]{1,6})", re.IGNORECASE).search


def idle_time(keep_alive: str, idle: float) -> float:
    """For how many seconds to keep a connection whose server has sent this Keep-Alive field.

    A second less than it says: what is sent in the moment of closing is lost.
    """
    found = _timeout(keep_alive)
    return min(idle, float(found[1]) - 1) if found else idle


class _Kept(NamedTuple, Generic[C]):
    connection: C
    until: float


class Shelf(Generic[C]):
    """Connections that are open and unused, by the server that they lead to."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, deque[_Kept[C]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(
        self, server: Hashable, connection: C, now: float, limits: KeepLimits, idle: float
    ) -> list[C]:
        """Keep `connection` for `idle` seconds. Returns those to close now: older ones of this
        server, or itself.
        """
        if limits.per_server < 1 or idle <= 0:
            return [connection]
        kept = self._kept.setdefault(server, deque())
        too_many = [self._oldest(kept) for _ in range(len(kept) - limits.per_server + 1)]
        if self._count >= limits.in_all and kept:
            too_many.append(self._oldest(kept))
        if self._count >= limits.in_all:
            self._forget_empty(server)
            return [*too_many, connection]
        kept.append(_Kept(connection, now + idle))
        self._count += 1
        return too_many

    def take(self, server: Hashable) -> C | None:
        """The connection of `server` that was used last, which is the likeliest to be open."""
        kept = self._kept.get(server)
        if not kept:
            return None
        self._count -= 1
        connection = kept.pop().connection
        self._forget_empty(server)
        return connection

    def expired(self, now: float) -> list[C]:
        """Take out those whose time is over."""
        found: list[C] = []
        for server, kept in [*self._kept.items()]:
            over = [entry for entry in kept if entry.until <= now]
            if over:
                found += [entry.connection for entry in over]
                self._kept[server] = deque(entry for entry in kept if entry.until > now)
                self._forget_empty(server)
        self._count -= len(found)
        return found

    def _oldest(self, kept: deque[_Kept[C]]) -> C:
        self._count -= 1
        return kept.popleft().connection

    def _forget_empty(self, server: Hashable) -> None:
        if not self._kept[server]:
            del self._kept[server]
