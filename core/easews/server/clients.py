"""How many connections each client has. Pure.

Clients are told apart by address. An IPv6 client usually has a whole /64 network to itself, so
that is what is counted.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address


class ClientCounts:
    """The open connections of a listener's clients, which are given as IP addresses."""

    def __init__(self) -> None:
        self._open: Counter[bytes] = Counter()
        self._refused: set[bytes] = set()

    def enter(self, host: str, most: float) -> bool:
        """Count a connection of this client, unless it has `most` already."""
        client = _client(host)
        if self._open[client] >= most:
            return False
        self._open[client] += 1
        return True

    def is_first_refusal(self, host: str) -> bool:
        """Whether none was refused since one of this client's connections ended: who knocks again
        and again is not to fill the log.
        """
        client = _client(host)
        if client in self._refused:
            return False
        self._refused.add(client)
        return True

    def leave(self, host: str) -> None:
        """A connection that was counted has ended."""
        client = _client(host)
        self._refused.discard(client)
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]


def _client(host: str) -> bytes:
    """The first 64 bits; an IPv4 address has no more than 32."""
    return ip_address(host).packed[:8]
