"""What stands in the place of a connection while its session is on its way to another process.

The other process may have begun to use the connection, so nothing may be read from it or written
to it here. What the session is told meanwhile waits in it, as with a peer that takes nothing.
"""

from __future__ import annotations

from typing import NoReturn


class Parked:
    """A `Wire` with nothing to read, which accepts no bytes."""

    def fileno(self) -> int:
        return -1

    def recv_into(self, buffer: bytearray | memoryview, size: int, /) -> NoReturn:
        raise BlockingIOError

    def recv(self, size: int, /) -> NoReturn:
        raise BlockingIOError

    def send(self, data: bytes | bytearray | memoryview, /) -> NoReturn:
        raise BlockingIOError

    def shutdown(self, how: int, /) -> NoReturn:
        raise BlockingIOError

    def close(self) -> None:
        pass


PARKED = Parked()
