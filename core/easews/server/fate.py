"""What becomes of a client's connection after a request. Only its `HttpConnection` acts on it."""

from __future__ import annotations

from enum import Enum


class Fate(Enum):
    """KEEP        another request may follow
    LINGER      no more will come from us: say so, and read until the client ends it, too
                (RFC 9112 §9.6)
    DROP        close it: the client is gone, or what it was sent cannot be ended in order
    HANDED_OVER it is a filter's now, which closes it
    """

    KEEP = 1
    LINGER = 2
    DROP = 3
    HANDED_OVER = 4
