"""Backends, for any filter that talks to some.

    pool      Pool, Attempt, Server: which server next (pure)
    dialling  dial(server) -> a connected socket
    exchange  ask(socket, …) -> Answer: one HTTP/1.1 request, its answer, and what comes behind

A filter's schema refers to ``urn:easews:common#/$defs/pool`` (or to its properties), its `check`
asks `pool_faults`, and `Pool.from_spec` makes the pool. For each request the filter asks
`Pool.next` for an attempt, and again as long as the servers refuse: `easews.ConnectError` means
try the next one, `UpstreamTimeout` and `BadAnswer` end the request.

`origin_of` gives the Origin that a request of ours may name.
"""

from ..http.urls import origin_of
from .dialling import dial
from .exchange import Answer, ask
from .pool import Attempt, Pool, Server, pool_faults

__all__ = ["Answer", "Attempt", "Pool", "Server", "ask", "dial", "origin_of", "pool_faults"]
