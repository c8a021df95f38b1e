"""The listening sockets of a config's servers."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

from ...config.model import ServerSpec
from ...server import bind
from ...server.passed import NONE_PASSED, Passed

#: By the name of their server.
Sockets = Mapping[str, list[socket.socket]]


def bind_all(
    servers: Iterable[ServerSpec], passed: Passed = NONE_PASSED
) -> dict[str, list[socket.socket]]:
    """The listening sockets of every server, passed ones where they fit. ListenError when one
    cannot be had.
    """
    sockets: dict[str, list[socket.socket]] = {}
    try:
        for spec in servers:
            sockets[spec.name] = bind(spec, passed)
    except BaseException:
        close_all(sockets)
        raise
    return sockets


def close_all(sockets: Sockets) -> None:
    for sock in [sock for socks in sockets.values() for sock in socks]:
        sock.close()
