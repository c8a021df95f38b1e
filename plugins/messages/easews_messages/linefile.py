"""A file of lines that a thread writes, and rotates by size.

Whoever has a line leaves it, and never waits for the disk. When more lines wait than fit, because
the disk is slow or full, new ones are dropped; the file and the log say how many.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Condition, Thread
from time import monotonic

log: logging.Logger = logging.getLogger("easews.messages")

#: Seconds between two lines in the log about lines that were dropped.
_QUIET = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How large it may get.

    size     bytes of the file, after which it is rotated
    keep     how many older files stay: `.1` is the youngest
    waiting  lines that may wait for the disk
    """

    size: int
    keep: int
    waiting: int


class LineFile:
    """The file `path`. `open` comes first, `close` last; `put` may be called by any thread.

    limits  may be changed at any time
    """

    def __init__(self, path: str, limits: Limits) -> None:
        self.path = path
        self.limits = limits
        self._changed = Condition()
        self._lines: list[str] = []
        self._lost = 0
        self._ended = False
        self._users = 0
        self._file = -1
        self._size = 0
        self._told = -_QUIET
        self._thread = Thread(target=self._run, name=f"writes {path}", daemon=True)

    def open(self) -> None:
        """One more will use it. The first call may block, and raises OSError when the file cannot
        be written.
        """
        self._users += 1
        if self._users == 1:
            self._open()
            self._thread.start()

    def close(self, patience: float) -> None:
        """One less uses it. The last call waits up to `patience` seconds until all is written."""
        self._users -= 1
        if self._users:
            return
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(patience)
        if self._thread.is_alive():
            log.error("%s: the disk does not take the last lines: they are lost", self.path)

    def put(self, line: str) -> None:
        """Have `line`, which has no line break, written soon; or drop it."""
        with self._changed:
            if len(self._lines) >= self.limits.waiting:
                self._lost += 1
                return
            self._lines.append(line)
            self._changed.notify()

    # The thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._ended)
                lines, self._lines = self._lines, []
                lost, self._lost = self._lost, 0
            if not lines:
                break
            self._write_all(lines, lost)
        if self._file >= 0:
            os.close(self._file)

    def _write_all(self, lines: Sequence[str], lost: int) -> None:
        written = 0
        why = "the disk is too slow"
        try:
            for line in lines:
                self._write(line)
                written += 1
            if lost:
                time = datetime.now(UTC).isoformat(timespec="milliseconds")
                self._write(json.dumps({"time": time, "lost": lost}))
        except OSError as error:
            why = error.strerror or type(error).__name__
            lost += len(lines) - written
            with self._changed:
                self._lost += lost  # the file says so as soon as it can be written
        if lost and monotonic() - self._told >= _QUIET:
            self._told = monotonic()
            log.warning("%s: %d lines are lost: %s", self.path, lost, why)

    def _write(self, line: str) -> None:
        data = line.encode("utf-8", "replace") + b"\n"
        if self._file < 0:
            self._open()
        if self._size and self._size + len(data) > self.limits.size:
            self._rotate()
        try:
            while data:
                count = os.write(self._file, data)
                data = data[count:]
        except OSError:
            with suppress(OSError):  # or the next line would go on in the middle of this one
                os.ftruncate(self._file, self._size)
            raise
        self._size = os.fstat(self._file).st_size

    def _open(self) -> None:
        """Others than the owner may not read what people have written."""
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        keep = self.limits.keep
        for number in range(keep - 1, 0, -1):
            if os.path.exists(older := f"{self.path}.{number}"):
                os.replace(older, f"{self.path}.{number + 1}")
        os.replace(self.path, f"{self.path}.1")
        os.close(self._file)
        self._file = -1
        self._open()
