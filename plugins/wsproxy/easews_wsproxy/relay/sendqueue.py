"""How much of what was written to a socket its peer has not taken yet: the kernel knows."""

from __future__ import annotations

import socket
import sys

if sys.platform == "linux":
    import fcntl
    import termios

    def _queued(sock: socket.socket) -> int:
        """SIOCOUTQ (tcp(7)), which has the number of TIOCOUTQ."""
        count = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(count, sys.byteorder)

elif sys.platform == "darwin":
    #: <sys/socket.h>; Python's `socket` does not have it.
    _SO_NWRITE = 0x1024

    def _queued(sock: socket.socket) -> int:
        return sock.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)

else:

    def _queued(sock: socket.socket) -> int:
        return 0


def outstanding(sock: socket.socket) -> int:
    """Bytes that are unsent or not acknowledged: 0 where the system cannot tell, and where the
    connection is gone, so that nothing of them will ever be sent.

    A unix socket counts what its peer has not read, with the memory that the kernel keeps it in.
    """
    try:
        count = _queued(sock)
        if count:
            sock.getpeername()  # ENOTCONN after a reset, which leaves the count as it was
    except OSError:
        return 0
    return count
