"""What is being done, on a terminal, once it takes longer than two seconds."""

from __future__ import annotations

import sys
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import Any, Self, TextIO

#: Seconds before anything is shown, and from one line to the next.
PATIENCE, STEP = 2.0, 0.5
_CLEAR = "\r\x1b[K"


class Progress:
    """While the block runs: the step that is under way, and for how long all has taken.

    It has a thread of its own, because the block may compute or wait all the time.
    """

    def __init__(self, step: str = "", stream: TextIO | None = None) -> None:
        self._step = step
        self._stream = stream or sys.stderr
        self._over = Event()
        self._thread: Thread | None = None

    def step(self, text: str) -> None:
        """This is done from now on."""
        self._step = text

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._thread = Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *raised: Any) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()

    def _show(self) -> None:
        """Show it until the block is over, then clear the line."""
        began, wait, end = monotonic(), PATIENCE, ""
        with suppress(OSError):
            while not self._over.wait(wait):
                self._write(f"{_CLEAR}{self._step} ({monotonic() - began:.0f} s)")
                wait, end = STEP, _CLEAR
            self._write(end)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
