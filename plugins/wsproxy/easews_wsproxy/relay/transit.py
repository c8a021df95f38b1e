"""Sessions on their way from or to another process, and their connections."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple

from .leg import Leg
from .lifecycle import Lifecycle
from .parking import PARKED


class _Place(NamedTuple):
    """The connections of a session, and when it is to be checked."""

    sockets: Sequence[socket.socket]
    wake: float


class Transit:
    """Nothing reads or writes the connections that are kept here."""

    def __init__(self) -> None:
        self._places: dict[Lifecycle, _Place] = {}

    def __contains__(self, session: Lifecycle) -> bool:
        return session in self._places

    def __len__(self) -> int:
        return len(self._places)

    def park(self, session: Lifecycle, wake: float) -> Sequence[socket.socket]:
        """Take the session's connections out of the loop, and keep them."""
        sockets = [_take_out(leg) for leg in (session.client, session.backend)]
        self._places[session] = _Place(sockets, wake)
        return sockets

    def give_back(self, session: Lifecycle) -> float:
        """Give the session its connections back; when it is to be checked."""
        sockets, wake = self._places.pop(session)
        for leg, sock in zip((session.client, session.backend), sockets, strict=True):
            leg.wire = leg.sock = sock
        return wake

    def close(self, session: Lifecycle) -> None:
        """Close the session's connections, without a word to the peers."""
        for sock in self._places.pop(session).sockets:
            sock.close()

    def close_all(self) -> None:
        for session in list(self._places):
            self.close(session)


def _take_out(leg: Leg) -> socket.socket:
    sock = leg.sock
    assert sock is not None
    if leg.loop is not None:
        leg.loop.leave(leg.fd)
        leg.loop = None
    leg.wire, leg.sock = PARKED, None
    return sock
