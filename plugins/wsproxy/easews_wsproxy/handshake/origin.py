"""Which web pages may open a session: the check of Origin (RFC 6455 §10.2).

A browser lets any page of any site open a WebSocket here, and sends the user's cookies along;
only Origin tells the server whose page it is. Clients that are no browsers send none, and
could write anything there: they are let through, this check does not concern them.
"""

from __future__ import annotations

from collections.abc import Iterable

from easews import OriginPatterns, Request, asked_host, parse_origin

from .rules import Refusal


def _refused(why: str) -> Refusal:
    return Refusal(403, (), f"the Origin of this handshake is refused: {why}", "clientError")


_SEVERAL = _refused("there is more than one (RFC 6454 §7.3)")
_MALFORMED = _refused("it is not of the form `scheme://host[:port]` (RFC 6454 §6.2)")
_OPAQUE = _refused("`null` is not among the originPatterns")
_FOREIGN = _refused("it is neither this host nor matched by one of the originPatterns")


class OriginPolicy:
    """The page's host[:port] must be the one that the client asked for, or match a pattern.

    `skip` lets everything pass.
    """

    def __init__(self, patterns: Iterable[str] = (), skip: bool = False) -> None:
        self._skip = skip
        self._patterns = OriginPatterns(patterns)

    def check(self, request: Request) -> Refusal | None:
        """The refusal of this handshake for its Origin, or None."""
        origins = request.headers.by_name.get("origin")
        if self._skip or not origins:
            return None
        if len(origins) > 1:
            return _SEVERAL
        origin = origins[0].lower()
        if origin == "null":
            return None if self._patterns.match(origin) else _OPAQUE
        page = parse_origin(origin)
        if page is None:
            return _MALFORMED
        if page.is_at(asked_host(request)) or self._patterns.match(origin):
            return None
        return _FOREIGN
