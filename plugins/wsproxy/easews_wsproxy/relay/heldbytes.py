"""What the whole relay holds for peers that are slow to take it, and how much that may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .sizes import SCARCE_BYTES, TURN_BYTES

if TYPE_CHECKING:
    from .compiled import Loop


@dataclass(slots=True)
class HeldBytes:
    """`count` bytes are held now. Beyond `limit` sessions are still relayed, but with small reads,
    so that each one that stalls adds next to nothing.
    """

    loop: Loop[Any, Any]
    limit: int = 64 * 1024 * 1024
    count: int = 0
    scarce: bool = False

    def add(self, count: int) -> None:
        """Count so many bytes more, or fewer when it is negative."""
        self.count += count
        scarce = self.count > self.limit
        if scarce != self.scarce:
            self.scarce = scarce
            self.loop.set_read_size(SCARCE_BYTES if scarce else TURN_BYTES)
