"""The kernel's own means of finding out that a TCP peer is gone (tcp(7)), as far as it has them."""

from __future__ import annotations

import socket

#: Seconds; the kernel takes no much longer times.
DAY = 86_400.0
#: Seconds by which the kernel gives up on a peer later than we do: ours has a reason to tell.
KERNEL_GRACE = 30.0

_USER_TIMEOUT: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
_PROBE_OPTIONS: list[int] = [
    getattr(socket, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL") if hasattr(socket, name)
]


def find_dead_peer(sock: socket.socket, patience: float, probe: bool) -> None:
    """Have the kernel end the connection when its peer is gone without a FIN: when sent bytes go
    unacknowledged, and with `probe`, when nothing is sent either. `patience`: seconds that we have
    ourselves.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return  # the other end of a unix socket cannot vanish
    seconds = min(patience + KERNEL_GRACE, DAY)
    if _USER_TIMEOUT is not None:
        sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(seconds * 1000))
    if probe:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in _PROBE_OPTIONS:
            sock.setsockopt(socket.IPPROTO_TCP, option, max(1, int(seconds / 6)))
