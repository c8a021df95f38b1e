"""What is known of a session when it opens."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..addresses import Peers

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Route(NamedTuple):
    """The way that a request took through the config.

    server           the name of the `HTTPServer`
    path             the `path`, `pathPrefix` or `pathRegexp` that matched, as in the config
    pipeline         the name of the `Pipeline`
    key              identifies the path entry: entries with the same `path` have different keys,
                     and an entry keeps its key when a new config replaces the served one
    trusted_proxies  the server's `trustedProxies`
    body_limit       the path's `clientMaxBodySize`; -1 is none
    forwarded_for    the server's `xForwardedFor`: whether proxies add the peer to X-Forwarded-For
    """

    server: str = ""
    path: str = ""
    pipeline: str = ""
    key: str = ""
    trusted_proxies: tuple[Peers, ...] = ()
    body_limit: int = -1
    forwarded_for: bool = True


class Opening(NamedTuple):
    """What is known of a session when it opens, and does not change.

    id          the id of the request
    client      the client's address
    route       how the request came to its pipeline
    backend     `Upgrade.backend`
    handshake   seconds from the request to the answer
    opened      when it opened, by `time.time`
    generation  the number of the config that was served then: 1 for the first
    labels      those of the request's context (user, tenant …)
    path        the path of the request, as the client wrote it, without the query; the path in
                the config is `route.path`
    taken_over  whether the process before this one has opened it
    """

    id: str
    client: str = ""
    route: Route = Route()
    backend: str = ""
    handshake: float = 0.0
    opened: float = 0.0
    generation: int = 0
    labels: Mapping[str, str] = _NO_LABELS
    path: str = ""
    taken_over: bool = False
