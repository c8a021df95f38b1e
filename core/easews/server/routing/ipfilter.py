"""ipFilter: which clients are let in, with Easegress's rules.

| allowIPs        | blockIPs          | the client            |
|-----------------|-------------------|-----------------------|
| do not have it  | whatever          | is refused            |
| have it         | do not have it    | is let in             |
| have it         | have it           | gets `blockByDefault` |
| are empty       | have it           | is refused            |
| are empty       | do not have it    | gets `blockByDefault` |

A client without an IP, which came by a unix socket, is in no list.
"""

from __future__ import annotations

from ...addresses import NetworkSet, parse_ip
from ...config.model import IpFilterSpec


class IpFilter:
    """An `ipFilter`, compiled."""

    __slots__ = ("_allowed", "_blocked", "_default", "_only_allowed")

    def __init__(self, spec: IpFilterSpec) -> None:
        self._default = not spec.block_by_default
        self._only_allowed = bool(spec.allow)
        self._allowed = NetworkSet(spec.allow)
        self._blocked = NetworkSet(spec.block)

    def allows(self, host: str) -> bool:
        """Whether a client with this address is let in."""
        ip = parse_ip(host)
        allowed = ip is not None and ip in self._allowed
        if self._only_allowed and not allowed:
            return False
        blocked = ip is not None and ip in self._blocked
        return self._default if allowed == blocked else allowed
