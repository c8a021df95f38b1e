"""Whether a peer still takes what is sent to it: a value, fed by whoever looks at the socket.

A socket that takes bytes tells nothing of its peer: there may be megabytes in its send buffer.
What counts is how much of all that was written has left it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(slots=True)
class Progress:
    """`taken` and `waiting` are bytes, as last seen; `since`: when more had last been taken."""

    taken: int = 0
    waiting: int = 0
    since: float = 0.0

    def note(self, written: int, waiting: int, now: float) -> None:
        """Of all that was written to the peer until `now`, so much has still to be taken."""
        taken = written - waiting
        if taken > self.taken or not self.waiting:  # without anything to take, no time passes
            self.since = now
        self.taken, self.waiting = max(taken, self.taken), waiting

    def stands_still(self, limit: float, now: float) -> bool:
        """Whether something waits, and nothing was taken for `limit` seconds."""
        return self.waiting > 0 and now >= self.since + limit

    def give_up(self) -> None:
        """Count it as standing still from now on, unless more is taken after all."""
        self.since = -inf
