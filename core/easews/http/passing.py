"""What goes on from one hop to the next: the fields and trailers that are not for this hop only
(RFC 9110 §7.6.1).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from .headers import Headers, hyphenated, tokens_of

# RFC 9110 §7.6.1, and the Proxy-* fields, which are meant for this hop only.
HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
)


def end_to_end(headers: Headers, *besides: str) -> Headers:
    """A copy of `headers` to send on, without what is meant for one hop only.

    The hop-by-hop fields are left out, those that `Connection` names, `Proxy-*`, and the fields
    named in `besides`; each in any spelling.
    """
    found = headers.by_name
    drop: Collection[str] = _for_this_hop(besides, found.get("connection", ()))
    names = "".join(found)
    if "_" in names or "." in names or "proxy-" in names:
        drop = [
            name
            for name in found
            if (plain := hyphenated(name)) in drop or plain.startswith("proxy-")
        ]
    return Headers.parsed([field for field in headers.triples if field[0] not in drop])


@lru_cache(maxsize=128)  # see `tokens_of`
def _for_this_hop(besides: tuple[str, ...], connection: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(hyphenated, (*HOP_BY_HOP, *besides, *tokens_of(connection))))


# RFC 9110 §6.5.1: what frames, routes, authenticates or describes a message stands in its head.
_NO_TRAILER = frozenset(
    {
        *("content-length", "host", "max-forwards", "expect", "range"),
        *("authorization", "cookie", "set-cookie", "cache-control"),
        *("content-encoding", "content-range", "content-type"),
    }
)


def passing_trailers(trailers: Headers, headers: Headers) -> Headers:
    """Those of `trailers` that go on behind the body of a message with these `headers`.

    Some recipients take trailers for header fields. So those that only belong into a head are left
    out, and those with the name of a field that is there, in any spelling.
    """
    if not trailers:
        return trailers
    head = {*map(hyphenated, headers.by_name)}
    return Headers.parsed(
        [
            field
            for field in end_to_end(trailers).triples
            if (name := hyphenated(field[0])) not in _NO_TRAILER and name not in head
        ]
    )
