"""Backends, for any filter that talks to one.

    servers    Server, and what this process knows of it (pure)
    drained    servers that get nothing new on request (pure)
    attempts   Attempt: one try to have a server answer (pure)
    causes     the words for failures (pure)
    retries    after which failures another server is asked (pure)
    queueing   requests that wait while every server is full (pure)
    pool       Pool: the servers, and which of them gets a request (pure)
    faults     what is wrong with a pool's spec
    candidates  Candidates: which pool of several takes a request (pure)
    pools      Pools: the pools of a filter, and which takes a request
    watching   the tasks that a pool needs
    running    which pools are at work, and whose they are (pure)
    succession  what stays when servers or configs change (pure)
    shedding   closes sessions after a scale-out
    turns      first_answer: one server of a pool after the other
    onward     what goes on to a server, and back to the client (pure)
    balance/   which server is next: policies, sticky sessions, rebalance
    health/    which servers are well: checks, ejection, circuit breakers
    names/     servers that DNS knows
    dialling/  connecting to a server, with TLS
    exchange/  HTTP/1.1 with a server, on connections of our own

The filter's schema refers to ``urn:easews:common#/$defs/pool`` (or to its properties), its
`check` calls `pool_faults`, and `Pool.from_spec` makes the pool; `Pools` are those of a filter that
has several. `first_answer` asks one server after the other: it goes on to the next one after
`easews.ConnectError`, and after what else `Pool.retries` has; any other error ends the request, and
`answer_for` makes the client's answer.

A filter that sends plain HTTP on names `KeptConnections` among its services, makes a `Client`, and
gives it an `Onward` for each attempt.

`origin_of` gives the Origin of a URL.
"""

from ..http.urls import origin_of
from .attempts import Attempt
from .candidates import Candidates, candidate_faults
from .dialling.dial import dial
from .exchange.answers import Answer
from .exchange.ask import ask
from .exchange.client import Client
from .exchange.keeping import KeepLimits
from .exchange.kept import KeptConnections
from .exchange.roundtrip import Onward, RoundTrip, Timeouts, may_repeat
from .exchange.upload import Upload
from .faults import pool_faults
from .health.configured import HealthRules
from .health.states import ServerState, State
from .onward import Busy, NoServer, answer_for, onward_headers, onward_target, passed_on
from .pool import Pool
from .pools import Pools
from .queueing import Queue
from .retries import Retries
from .running import RunningPool, running_pools
from .servers import Server, Via
from .turns import Reply, first_answer

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
    "Pools",
    "Queue",
    "Reply",
    "Retries",
    "RoundTrip",
    "RunningPool",
    "Server",
    "ServerState",
    "State",
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
    "running_pools",
]
