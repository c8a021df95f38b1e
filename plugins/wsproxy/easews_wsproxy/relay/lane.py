"""What a leg and its session know of whatever reads messages: see `messages.lane`."""

from __future__ import annotations

from typing import Protocol


class Lane(Protocol):
    """What reads the messages of a leg, and writes what goes on to the other one.

    waits          for a filter, or until the other leg takes more: the leg is not read
    awaits_filter  for a filter
    size           bytes that are kept: parts of a message, and what has come behind one that waits
    is_filling     much of a large message is still to come, and is received into the lane's `room`
    is_quiet       the hooks that were called last have done nothing to the session, and nothing has
                   to wait
    """

    waits: bool
    awaits_filter: bool

    @property
    def size(self) -> int: ...

    @property
    def is_filling(self) -> bool: ...

    @property
    def is_quiet(self) -> bool: ...

    def room(self) -> memoryview:
        """Where it is received."""

    def fill(self, count: int, now: float) -> None:
        """So many bytes have come there."""

    def look(self, buffer: bytearray, end: int, now: float) -> bool:
        """Read what the leg has sent: ``buffer[:end]``. Whether all of it is to go on as it came,
        which is then left to the caller, and nothing else has happened.
        """

    def flush(self) -> None:
        """Write what was read and is to go on."""

    def go_on(self, now: float) -> None:
        """Take what has come while it waited, if it need not wait any longer."""

    def end(self, now: float) -> None:
        """Nothing can go on any more: let go of everything, and of the leg."""
