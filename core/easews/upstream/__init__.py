"""Backends, for any filter that talks to one.

    servers    Server, and what this process knows of it (pure)
    securing   TLS to servers: contexts, and why there is no agreement
    tlsfaults  what is wrong with a pool's tls
    tags       which of a pool's servers are meant (pure)
    balance    which server is next: the policies (pure)
    attempts   Attempt: one try to have a server answer (pure)
    retries    after which failures another server is asked (pure)
    sticky     sticky sessions: the cookie that leads a client back to its server (pure)
    pool       Pool: the servers, and which of them gets a request (pure)
    health     which servers are well: checks, ejection, panic, slow start (pure)
    checks     what a check sends, and which answers pass (pure)
    breaker    a circuit breaker for one server (pure)
    availability  which servers of a pool may be chosen at present (pure)
    probes     one check of a server
    checking   Checking: the servers of a pool are checked
    candidates  Candidates: which pool of several takes a request (pure)
    onward     what goes on to a server, and back to the client (pure)
    turns      first_answer: one server of a pool after the other
    resolving  Resolve: how names are looked up, and when again (pure)
    records    which servers follow from the answers (pure)
    names      look_up(name): DNS, with TTL
    rebalancing  which sessions are closed after a scale-out (pure)
    watching   the tasks that a pool needs
    shedding   closes sessions after a scale-out
    following  Following: the servers of a pool are those that their names lead to
    racing     the first of several addresses that connects
    dialling   dial(server) -> a connection
    exchange   ask(wire, …) -> Answer: one HTTP/1.1 request and its answer
    answers    Answer, and how its head and its body are read
    upload     a request's body on its way to a server
    uploads    Uploads, the service that listens to servers meanwhile
    keeping    which connections are kept between requests (pure)
    kept       KeptConnections, the service that keeps them
    roundtrip  Client: a request with its body over a kept connection

The filter's schema refers to ``urn:easews:common#/$defs/pool`` (or to its properties), its
`check` calls `pool_faults`, and `Pool.from_spec` makes the pool. `first_answer` asks one server
after the other: it goes on to the next one after `easews.ConnectError`, and after what else
`Pool.retries` has; any other error ends the request, and `answer_for` makes the client's answer.

A filter that sends plain HTTP on names `KeptConnections` among its services, makes a `Client`, and
gives it an `Onward` for each attempt.

`origin_of` gives the Origin of a URL.
"""

from ..http.urls import origin_of
from .answers import Answer
from .attempts import Attempt
from .availability import HealthRules, ServerState
from .candidates import Candidates, candidate_faults
from .dialling import dial
from .exchange import ask
from .keeping import KeepLimits
from .kept import KeptConnections
from .onward import Busy, NoServer, answer_for, onward_headers, onward_target, passed_on
from .pool import Pool, Queue, pool_faults
from .retries import Retries
from .roundtrip import Client, Onward, RoundTrip, Timeouts, may_repeat
from .servers import Server, Via
from .turns import Reply, first_answer
from .upload import Upload

__all__ = [
    "Answer",
    "Attempt",
    "Busy",
    "Candidates",
    "Client",
    "HealthRules",
    "KeepLimits",
    "KeptConnections",
    "NoServer",
    "Onward",
    "Pool",
    "Queue",
    "Reply",
    "Retries",
    "RoundTrip",
    "Server",
    "ServerState",
    "Timeouts",
    "Upload",
    "Via",
    "answer_for",
    "ask",
    "candidate_faults",
    "dial",
    "first_answer",
    "may_repeat",
    "onward_headers",
    "onward_target",
    "origin_of",
    "passed_on",
    "pool_faults",
]
