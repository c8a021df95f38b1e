"""How long the garbage collector has held up everything else, so that nobody is blamed for it."""

from __future__ import annotations

import gc
from time import perf_counter
from typing import Any


class Pauses:
    """`seconds` is what all collections have taken since the first `watch`."""

    __slots__ = ("_began", "seconds")

    def __init__(self) -> None:
        self.seconds: float = 0.0
        self._began = 0.0

    def watch(self) -> None:
        """Count from now on. It costs a call for each collection, and nothing in between."""
        if self._note not in gc.callbacks:
            self._began = perf_counter()
            gc.callbacks.append(self._note)

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        now = perf_counter()
        if phase == "stop":
            self.seconds += now - self._began
        self._began = now


#: There is one collector in the process.
PAUSES = Pauses()
