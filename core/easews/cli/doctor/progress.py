"""What is being done, on a terminal, once it takes longer than two seconds."""

from __future__ import annotations

import sys
from contextlib import suppress
from time import monotonic
from typing import TextIO

import anyio
from anyio import CancelScope

#: Seconds before anything is shown, and from one line to the next.
_PATIENCE, _STEP = 2.0, 0.5
_CLEAR = "\r\x1b[K"


class Progress:
    """Shows the step that is under way, and for how long all has taken."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._step = ""
        self._started = monotonic()
        self._scope = CancelScope()
        self.shown: bool = False

    def step(self, text: str) -> None:
        """This is done from now on."""
        self._step = text

    def stop(self) -> None:
        """All is done."""
        self._scope.cancel()

    async def run(self) -> None:
        """Show it until `stop` is called, then clear the line."""
        if not self._stream.isatty():
            return
        with self._scope, suppress(OSError):
            await anyio.sleep(_PATIENCE)
            while True:
                self.shown = True
                self._write(f"{_CLEAR}{self._step} ({monotonic() - self._started:.0f} s)")
                await anyio.sleep(_STEP)
        if self.shown:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
