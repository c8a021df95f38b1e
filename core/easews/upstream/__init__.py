"""Backends, for any filter that talks to one.

    servers    Server, and what this process knows of it (pure)
    balance    which server is next: the policies (pure)
    pool       Pool, Attempt: the servers, and attempts at them (pure)
    health     which servers are well: checks, ejection, panic, slow start (pure)
    checks     what a check sends, and which answers pass (pure)
    probes     one check of a server
    candidates  Candidates: which pool of several takes a request (pure)
    onward     what goes on to a server, and back to the client (pure)
    turns      first_answer: one server of a pool after the other
    records    which servers follow from DNS answers, and when to ask again (pure)
    names      look_up(name): DNS, with TTL
    dialling   dial(server) -> a connected socket
    exchange   ask(socket, …) -> Answer: one HTTP/1.1 request and its answer
    answers    Answer, and how its head and its body are read
    upload     a request's body on its way to a server
    uploads    Uploads, the service that listens to servers meanwhile
    keeping    which connections are kept between requests (pure)
    kept       KeptConnections, the service that keeps them
    roundtrip  Client: a request with its body over a kept connection

The filter's schema refers to ``urn:easews:common#/$defs/pool`` (or to its properties), its
`check` calls `pool_faults`, and `Pool.from_spec` makes the pool. A filter with several pools calls
`candidate_faults`, too, and `Candidates.choose` says which of them takes a request.

`first_answer` asks one server after the other: it goes on to the next one after
`easews.ConnectError`; `UpstreamTimeout` and `BadAnswer` end the request, and `told_of` says what
the client is told.

A filter that sends plain HTTP on names `KeptConnections` among its services, makes a `Client`, and
gives it an `Onward` for each attempt.

`origin_of` gives the Origin of a URL.
"""

from ..http.urls import origin_of
from .answers import Answer
from .candidates import Candidates, candidate_faults
from .dialling import dial
from .exchange import ask
from .keeping import KeepLimits
from .kept import KeptConnections
from .onward import NoServer, onward_headers, onward_target, passed_on, told_of
from .pool import Attempt, Pool, pool_faults
from .roundtrip import Client, Onward, RoundTrip, Timeouts
from .servers import Server
from .turns import first_answer
from .upload import Upload

__all__ = [
    "Answer",
    "Attempt",
    "Candidates",
    "Client",
    "KeepLimits",
    "KeptConnections",
    "NoServer",
    "Onward",
    "Pool",
    "RoundTrip",
    "Server",
    "Timeouts",
    "Upload",
    "ask",
    "candidate_faults",
    "dial",
    "first_answer",
    "onward_headers",
    "onward_target",
    "origin_of",
    "passed_on",
    "pool_faults",
    "told_of",
]
