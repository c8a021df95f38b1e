"""easews: a gateway that you extend in Python.

    http, upgrade      what is asked and answered: Request, Response, Upgrade     (values)
    filters            the contract: Filter, Context                              (values)
    answers, forwarded what filters need often: problem(), ForwardedPolicy        (pure)
    plugins            who brings which kind of filter: entry points -> Kinds
    schema, config     from YAML files to a checked Config, all faults at once
    pipeline           the engine: a flow of filters over one Context
    http1, paths       HTTP/1.1 as bytes in, values out; paths to compare         (pure)
    server             the HTTPServer: listener, connection, router
    upstream           backends for any filter: pools (pure), dialling
    poller             many sockets in one descriptor, for who looks after many
    sessions, services what outlives a request: open sessions, plugins' services
    gateway            a config being served: services, filters, listeners
    supervisor         the process: limits, signals, and an end whatever happens
    cli                validate, run, kinds, schema

Filter packages import from here, `easews.upstream` and `easews.testing`, and nothing else.
"""

from .answers import problem
from .errors import (
    BadAnswer,
    ConfigError,
    ConnectError,
    ConnectTimeout,
    EasewsError,
    FilterError,
    ListenError,
    MessageError,
    PluginError,
    UpstreamError,
    UpstreamTimeout,
)
from .filters import Context, Filter, Route, SpecFault
from .forwarded import ForwardedPolicy
from .hookspecs import hookimpl
from .http import Address, Headers, Request, Response, end_to_end
from .networks import parse_network
from .poller import READ, WRITE, Poller, make_poller
from .services import Service, Services
from .sessions import Birth, Ending, Session, Sessions, Side, Traffic
from .upgrade import Connection, Upgrade

__all__ = [
    "READ",
    "WRITE",
    "Address",
    "BadAnswer",
    "Birth",
    "ConfigError",
    "ConnectError",
    "ConnectTimeout",
    "Connection",
    "Context",
    "EasewsError",
    "Ending",
    "Filter",
    "FilterError",
    "ForwardedPolicy",
    "Headers",
    "ListenError",
    "MessageError",
    "PluginError",
    "Poller",
    "Request",
    "Response",
    "Route",
    "Service",
    "Services",
    "Session",
    "Sessions",
    "Side",
    "SpecFault",
    "Traffic",
    "Upgrade",
    "UpstreamError",
    "UpstreamTimeout",
    "end_to_end",
    "hookimpl",
    "make_poller",
    "parse_network",
    "problem",
]
