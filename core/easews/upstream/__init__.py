"""Backends, for any filter that talks to one.

    pool      Pool, Attempt, Server: which server next (pure)
    dialling  dial(server) -> a connected socket
    exchange  ask(socket, …) -> Answer: one HTTP/1.1 request and its answer

The filter's schema refers to ``urn:easews:common#/$defs/pool`` (or to its properties), its
`check` calls `pool_faults`, and `Pool.from_spec` makes the pool. For each request the filter
calls `Pool.next` for an attempt. After `easews.ConnectError` it calls it again for the next
server; `UpstreamTimeout` and `BadAnswer` end the request.

`origin_of` gives the Origin of a URL.
"""

from ..http.urls import origin_of
from .dialling import dial
from .exchange import Answer, ask
from .pool import Attempt, Pool, Server, pool_faults

__all__ = ["Answer", "Attempt", "Pool", "Server", "ask", "dial", "origin_of", "pool_faults"]
