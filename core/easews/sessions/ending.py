"""What has gone through a session, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Side = Literal["client", "backend", "proxy"]


@dataclass(slots=True)
class Traffic:
    """What one side has sent.

    messages  data messages
    bytes     bytes on the wire, frame headers included
    rtt       seconds from our last ping to its pong; None when there was none
    """

    messages: int = 0
    bytes: int = 0
    rtt: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended.

    by            who closed first
    code          the code of that Close: 1006 when the side left without a Close, 1005 when its
                  Close had no code (RFC 6455 §7.1.5)
    cause         why, in a few words
    duration      how long it was open, in seconds
    from_client   what the client has sent
    from_backend  what the backend has sent
    """

    by: Side
    code: int
    cause: str
    duration: float
    from_client: Traffic = field(default_factory=Traffic)
    from_backend: Traffic = field(default_factory=Traffic)
