"""Connections spread evenly among the workers that accept from the same sockets.

Each worker counts its open connections in memory that all of them share. One that has more than
another lets the other go first. Unlike with a socket of its own for each worker (SO_REUSEPORT),
what waits to be accepted is lost with none of them, a worker that hangs or is full keeps no client
waiting, and one that was started anew gets the next connections.
"""

from __future__ import annotations

import anyio

#: The count of a worker that accepts nothing.
ABSENT = 1 << 62
#: Seconds for which a worker lets the others go first. One that is idle needs a fraction of it.
GIVING_WAY = 0.001
#: How many connections it accepts after that, if the others have left them.
LEFT_OVER = 4


class Share:
    """What this worker has: the count `mine` of `counts`. Nobody else writes that."""

    def __init__(self, counts: memoryview[int], mine: int) -> None:
        self._counts = counts
        self._mine = mine
        self._open = 0
        self._is_here = True
        counts[mine] = 0

    def count(self, by: int) -> None:
        """One more connection is open, or one less."""
        self._open += by
        if self._is_here:
            self._counts[self._mine] = self._open

    def leave(self) -> None:
        """This worker accepts nothing more."""
        self._is_here = False
        self._counts[self._mine] = ABSENT

    @property
    def room(self) -> int:
        """How many connections this worker may accept until it has one more than another."""
        others = [*self._counts[: self._mine], *self._counts[self._mine + 1 :]]
        return min(others, default=ABSENT) + 1 - self._open

    async def turn(self) -> int:
        """How many to accept now, once the others could have gone first."""
        if (room := self.room) > 0:
            return room
        await anyio.sleep(GIVING_WAY)
        return max(self.room, LEFT_OVER)
