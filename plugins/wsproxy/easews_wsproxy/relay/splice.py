"""Moving the inside of a large frame from socket to socket without it coming by (Linux).

The pipe is empty between two moves: what the sink does not take is read out of it, and waits
among everything else that waits.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress

AVAILABLE = sys.platform == "linux" and hasattr(os, "splice")


class Pipe:
    """What `os.splice` needs in between. `size` is the most that one move takes, in bytes."""

    def __init__(self, size: int) -> None:
        self._out, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):  # over the user's limit: what there is will do
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, size)
        self._size = size

    def close(self) -> None:
        os.close(self._in)
        os.close(self._out)

    def move(self, source: int, sink: int, count: int) -> tuple[int, bytes, bool]:
        """Move at most `count` bytes: how many came, those that were not taken, and whether the
        sink is still there. BlockingIOError when nothing is to be had, OSError when the source
        is gone; 0 bytes came at the end of its stream.
        """
        flags = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
        came = os.splice(source, self._in, min(count, self._size), flags=flags)
        left = came
        try:
            while left:
                left -= os.splice(self._out, sink, left, flags=flags)
        except BlockingIOError:
            return came, self._read(left), True
        except OSError:
            self._read(left)
            return came, b"", False
        return came, b"", True

    def _read(self, count: int) -> bytes:
        rest = b""
        while len(rest) < count:
            rest += os.read(self._out, count - len(rest))
        return rest
