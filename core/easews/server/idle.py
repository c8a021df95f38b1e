"""Connections on which nobody asks anything at the moment: where there is no room, they end."""

from __future__ import annotations

import socket
from contextlib import suppress

from ..net.wire import Wire


class IdleConnections:
    """Those of a listener that have been added, the one that came first at the front."""

    def __init__(self) -> None:
        self._wires: dict[Wire, None] = {}

    def add(self, wire: Wire) -> None:
        """It waits for a request, or for the end of its client."""
        self._wires[wire] = None

    def discard(self, wire: Wire) -> None:
        """It is at a request, or over."""
        self._wires.pop(wire, None)

    def end_one(self) -> None:
        """Have the one end that has been idle longest, if there is any."""
        if self._wires:
            wire = next(iter(self._wires))
            del self._wires[wire]
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)  # whoever reads from it learns that it has ended
