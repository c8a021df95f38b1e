"""easews: a gateway that you extend in Python.

What filter packages import, from here and from the four rooms in the second list:

    filters   changes   templates   sessions   messages   notes   services   http   errors
    addresses
    upstream   testing   lowlevel   schema (through JSON: `urn:easews:common`)

The rooms of the engine, from the top down:

    cli        validate, run, explain, new, kinds, plugins, schema
    admin      what operators, scripts and a dashboard ask of a running gateway
    testing    what authors of filters, and we, test with
    operate    a config being served, and the process around it
    server     HTTPServer: listener, connection, routing
    pipeline   filters at work: a flow over one Context, who holds an instance
    config     from YAML files to a checked Config, all faults at once
    plugins    who brings which kind of filter: entry points -> Kinds
    hookspecs  what a plugin implements
    lowlevel   connections, and many of them behind one descriptor
    upstream   backends for any filter: pools, dialling, one exchange
    observe    the log, and figures for Prometheus
    changes    changes of headers, with templates as values                     (pure)
    templates  text with {{Name}} in it, filled in from a request               (pure)
    filters    the contract: Filter, Context
    sessions   what outlives a request: Session, Sessions, Upgrade, Connection
    messages   what a session's filters read: Message, Close                     (pure)
    notes      what filters leave for later ones                                (pure)
    services   what a plugin keeps for the life of the process
    http       HTTP as values, and HTTP/1.1 as bytes in, values out             (pure)
    net        sockets, and many of them behind one descriptor
    schema     JSON Schemas, and what is done with one                          (pure)
    addresses  IP addresses and networks                                        (pure)
    owners     which filter something at work belongs to                        (pure)
    spelling   which known word a misspelt one is meant to be                   (pure)
    errors     one class for each thing that a caller handles differently
"""

from .addresses import Address, parse_network
from .changes import HeaderChanges
from .errors import (
    BadAnswer,
    CertificateError,
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
from .filters import Context, Filter, SpecFault
from .hookspecs import hookimpl
from .http import ClientCertificate, Headers, Request, Response, end_to_end
from .http.cookies import cookie
from .http.forwarded import ForwardedPolicy, asked_host, asked_scheme
from .http.matching import HeaderMatch
from .http.origins import Origin, OriginPatterns, parse_origin
from .http.problems import problem
from .http.regexps import compile_regexp
from .http.rewriting import (
    replace_in_path,
    replace_in_text,
    replace_path,
    replace_path_prefix,
    rewrite_target,
)
from .messages import Close, Data, Message, Outcome, Reads, Result, Sender, is_close_code
from .notes import Notes
from .services import Packed, Service, Services
from .sessions import (
    Connection,
    Ending,
    Frame,
    Hooks,
    Opening,
    Route,
    Session,
    Sessions,
    Side,
    Traffic,
    Upgrade,
)
from .templates import Template, TemplateFault

__all__ = [
    "Address",
    "BadAnswer",
    "CertificateError",
    "ClientCertificate",
    "Close",
    "ConfigError",
    "ConnectError",
    "ConnectTimeout",
    "Connection",
    "Context",
    "Data",
    "EasewsError",
    "Ending",
    "Filter",
    "FilterError",
    "ForwardedPolicy",
    "Frame",
    "HeaderChanges",
    "HeaderMatch",
    "Headers",
    "Hooks",
    "ListenError",
    "Message",
    "MessageError",
    "Notes",
    "Opening",
    "Origin",
    "OriginPatterns",
    "Outcome",
    "Packed",
    "PluginError",
    "Reads",
    "Request",
    "Response",
    "Result",
    "Route",
    "Sender",
    "Service",
    "Services",
    "Session",
    "Sessions",
    "Side",
    "SpecFault",
    "Template",
    "TemplateFault",
    "Traffic",
    "Upgrade",
    "UpstreamError",
    "UpstreamTimeout",
    "asked_host",
    "asked_scheme",
    "compile_regexp",
    "cookie",
    "end_to_end",
    "hookimpl",
    "is_close_code",
    "parse_network",
    "parse_origin",
    "problem",
    "replace_in_path",
    "replace_in_text",
    "replace_path",
    "replace_path_prefix",
    "rewrite_target",
]
