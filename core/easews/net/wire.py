"""What a connection is read from and written to.

A non-blocking `socket.socket` is a `Wire` as it stands. Layered ones (TLS, later a stream of
HTTP/2) offer the same calls, and are polled by the descriptor that they sit on.
"""

from __future__ import annotations

import socket
from typing import Protocol


class Wire(Protocol):
    """A non-blocking connection.

    `recv`, `recv_into` and `send` raise BlockingIOError when nothing is there, or nothing is
    taken; OSError when the connection is gone. `recv` gives b"" and `recv_into` 0 at the end of
    the stream. `fileno` is what to poll until they can be called again.
    """

    def fileno(self) -> int: ...
    def recv_into(self, buffer: bytearray | memoryview, size: int, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes | bytearray | memoryview, /) -> int: ...
    def shutdown(self, how: int, /) -> None: ...
    def close(self) -> None: ...


def raw_socket(wire: Wire) -> socket.socket | None:
    """The socket that `wire` is, or None when there is a layer over it.

    Only a raw socket can be read and written behind its object's back: by the compiled loop, by
    `splice`, or by another process that it was passed to.
    """
    return wire if isinstance(wire, socket.socket) else None
