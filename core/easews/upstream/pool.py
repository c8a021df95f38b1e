"""Which server is next. Values and arithmetic, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..addresses import parse_ip
from ..http.urls import server_url


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a pool. `weight` is its share of the traffic; 0 gets none.

    `is_ip` tells that `host` is an IP literal: it needs no look-up, and names no site.
    """

    url: str
    host: str
    port: int
    path: str
    is_ip: bool
    weight: int = 1
    keep_host: bool = False

    @classmethod
    def at(cls, url: str, *, weight: int = 1, keep_host: bool = False) -> Server:
        """The server at `url`. ValueError, with what is wrong, when it leads to none."""
        _, host, port, path = server_url(url)
        is_ip = parse_ip(host) is not None
        return cls(url, host, port, path, is_ip, weight, keep_host)


class Pool:
    """Smooth weighted round robin: weights 5, 1, 1 give a a b a c a a, not a a a a a b c."""

    def __init__(self, servers: Iterable[Server]) -> None:
        self._servers = [server for server in servers if server.weight > 0]
        self._shares = [0] * len(self._servers)
        self._total = sum(server.weight for server in self._servers)

    def order(self) -> list[Server]:
        """The server whose turn it is, then the others, to be tried should it refuse."""
        if len(self._servers) < 2:
            return self._servers
        shares = self._shares
        for index, server in enumerate(self._servers):
            shares[index] += server.weight
        ranked = sorted(range(len(shares)), key=shares.__getitem__, reverse=True)
        shares[ranked[0]] -= self._total
        return [self._servers[index] for index in ranked]
