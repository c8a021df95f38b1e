"""Who the client is: the peer, or whom the trusted proxies say that they speak for.

Anyone can write X-Forwarded-For. Only what a trusted proxy has added counts, in the one header
that this proxy is known to write (`clientAddressFrom`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..addresses import Address, Peers, is_within
from ..http import Headers
from ..http.forwarded import forwarded_elements, forwarded_for, parse_node


def client_address(
    headers: Headers, peer: Address, trusted: Sequence[Peers], source: str | None
) -> Address:
    """The rightmost hop that is no trusted proxy, beginning with `peer`.

    `source` is `x-forwarded-for`, `forwarded`, or None: then it is the peer. A hop that is no
    address (`unknown`, obfuscated, malformed) ends the walk: the client is then the proxy that
    reported it. So it is when every hop is trusted, the leftmost one. A port of 0 is unknown.
    """
    if source is None:
        return peer
    client = peer
    hops = _hops(headers, source)
    while is_within(client.host, trusted):
        hop = parse_node(next(hops, ""))
        if hop is None:
            return client
        client = hop
    return client


def _hops(headers: Headers, source: str) -> Iterator[str]:
    """The hops that the header reports, the nearest first."""
    if source == "forwarded":
        return map(forwarded_for, reversed(forwarded_elements(headers)))
    return map(_unquoted, reversed(headers.elements("x-forwarded-for")))


def _unquoted(hop: str) -> str:
    """Some proxies write a hop as Forwarded has it."""
    return hop[1:-1] if hop[0] == hop[-1] == '"' else hop
