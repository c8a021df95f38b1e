"""What a connection is read from and written to.

A non-blocking `socket.socket` is a `Wire` as it stands. Layered ones (TLS, later a stream of
HTTP/2) offer the same calls, and are polled by the descriptor that they sit on.
"""

from __future__ import annotations

import socket
from typing import Protocol


class Wire(Protocol):
    """A non-blocking connection.

    `recv`, `recv_into` and `send` raise BlockingIOError when there is nothing to receive, or no
    room to send, and OSError when the connection is lost. At the end of the stream `recv` returns
    b"" and `recv_into` 0. `fileno` is the descriptor to poll before calling them again.

    A layered wire has more rules:

    - Polls tell nothing of bytes that the layer has already. They are there while `pending(wire)`
      is true: then read on, before polling. After a BlockingIOError it is false.
    - What `send` has refused it may have sent in part. The next call has to begin with the same
      bytes, more may follow; what `send` returns has been sent, as always.
    - `shutdown` may raise BlockingIOError: call it again when there is room.
    """

    def fileno(self) -> int: ...
    def recv_into(self, buffer: bytearray | memoryview, size: int, /) -> int: ...
    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes | bytearray | memoryview, /) -> int: ...
    def shutdown(self, how: int, /) -> None: ...
    def close(self) -> None: ...


def raw_socket(wire: Wire) -> socket.socket | None:
    """The socket that `wire` is, or None when it is a layer over one.

    Only a raw socket can be read and written by its descriptor, as the compiled loop and
    `splice` do.
    """
    return wire if isinstance(wire, socket.socket) else None


def socket_of(wire: Wire) -> socket.socket | None:
    """The socket that carries `wire`: for its options and counters, not for its bytes."""
    if isinstance(wire, socket.socket):
        return wire
    sock = getattr(wire, "sock", None)
    return sock if isinstance(sock, socket.socket) else None


def pending(wire: Wire) -> bool:
    """Whether bytes may be received from `wire` that no poll tells of."""
    return bool(getattr(wire, "pending", False))
