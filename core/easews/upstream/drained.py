"""Servers that get nothing new, because somebody has asked for that.   (pure)

It holds for the process until it is undone: for every pool that has the server, of this config and
of later ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic

from .servers import Server, tell_of

#: Since when, by `time.monotonic`, for each `Server.identity`.
_since: dict[str, float] = {}


def drain(url: str) -> None:
    """No pool chooses the server at `url` from now on. ValueError when the URL is not valid."""
    identity = Server.at(url).identity
    _since.setdefault(identity, monotonic())
    tell_of(identity)


def undrain(url: str) -> bool:
    """Pools may choose it again. False when it was not drained, or `url` is not valid."""
    identity = identity_of(url)
    was_drained = _since.pop(identity, None) is not None
    if was_drained:
        tell_of(identity)
    return was_drained


def drained_servers() -> list[str]:
    """The `Server.identity` of each drained server."""
    return [*_since]


def keep_drained(identities: Iterable[str]) -> None:
    """These servers are drained, as in the process before this one."""
    for identity in identities:
        _since.setdefault(identity, monotonic())
        tell_of(identity)


def drain_only(identities: Iterable[str]) -> bool:
    """These servers are drained, and no others. Returns whether some were not before."""
    wanted = dict.fromkeys(identities)
    new = [identity for identity in wanted if identity not in _since]
    for identity in [identity for identity in _since if identity not in wanted]:
        del _since[identity]
        tell_of(identity)
    keep_drained(new)
    return bool(new)


def is_drained(url: str) -> bool:
    """Whether the server at `url` is drained."""
    return bool(_since) and identity_of(url) in _since


def drained_since(server: Server) -> float | None:
    """Since when it is drained, by `time.monotonic`; None: it is not."""
    return _since.get(server.identity) if _since else None


def identity_of(url: str) -> str:
    """`Server.identity` of the server at `url`; empty when the URL is not valid."""
    try:
        return Server.at(url).identity
    except ValueError:
        return ""
