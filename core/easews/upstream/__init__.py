"""Backends, for any filter that talks to some.

    pool      Server, Pool: which server next (pure)
    dialling  dial(server) -> a connected socket
    exchange  ask(socket, …) -> Answer: one HTTP/1.1 request, its answer, and what comes behind

`origin_of` gives the Origin that a request of ours may name.

A filter tries the servers of `Pool.order` one after the other until one takes the connection;
errors are `easews.ConnectError` (try the next), `UpstreamTimeout` and `BadAnswer`.
"""

from ..http.urls import origin_of
from .dialling import dial
from .exchange import Answer, ask
from .pool import Pool, Server

__all__ = ["Answer", "Pool", "Server", "ask", "dial", "origin_of"]
