"""A checked config as values: what the rest of easews reads.

Everything here is valid by construction: names resolve, defaults are filled in (they are in the
schemas, and only there), durations are seconds, sizes are bytes (-1 is unlimited). `place` is
where something stands in the files, for messages; two specs that differ in nothing else are the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..addresses import Network, Peers
from ..net.certificates import KeyPairSpec, PemSpec
from ..plugins import Kind


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of `headers` or `queries`: its value is one of `values`, or `regexp` matches it.

    At least one of the two is there.
    """

    key: str
    values: tuple[str, ...] = ()
    regexp: str | None = None


@dataclass(frozen=True, slots=True)
class IpFilterSpec:
    """Which clients are let in. Without any network in `allow`, all that are not in `block` are."""

    block_by_default: bool = False
    allow: tuple[Network, ...] = ()
    block: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class PathSpec:
    """One entry of `paths`. At most one of path, path_prefix and path_regexp is not None.

    `key` names the entry: by its server and by what it matches, so that it has the same key in
    the next config unless that has changed. Who may use it (`ip_filter`) is no part of that.
    """

    backend: str
    path: str | None = None
    path_prefix: str | None = None
    path_regexp: str | None = None
    rewrite_target: str | None = None
    methods: tuple[str, ...] = ()
    client_max_body_size: int | None = None
    headers: tuple[Condition, ...] = ()
    queries: tuple[Condition, ...] = ()
    match_all_header: bool = False
    match_all_query: bool = False
    ip_filter: IpFilterSpec | None = None
    key: str = ""

    @property
    def form(self) -> str:
        """Which paths it takes, as in a config: ``pathPrefix /ws``. Empty when it takes all."""
        forms = (
            ("path", self.path),
            ("pathPrefix", self.path_prefix),
            ("pathRegexp", self.path_regexp),
        )
        return next((f"{field} {text}" for field, text in forms if text is not None), "")


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One entry of `rules`: paths that hold for some hosts. No host at all matches every host."""

    hosts: tuple[str, ...] = ()
    host_regexps: tuple[str, ...] = ()
    paths: tuple[PathSpec, ...] = ()
    ip_filter: IpFilterSpec | None = None


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How large and how slow a request may be. A `min_body_rate` of 0 bytes a second is none."""

    header_timeout: float
    max_header_bytes: int
    max_request_line: int
    max_headers: int
    body_timeout: float
    min_body_rate: int


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """TLS to clients.

    pairs              the first one is for clients that name no server, or one that is not known
    key_password       opens those keys that are encrypted
    authorities        who signs clients' certificates; None: clients are not asked for one
    client_required    whether a client without a certificate is refused
    minimum            the oldest version of TLS
    ciphers            OpenSSL's list for TLS 1.2
    handshake_timeout  seconds that a client has for its handshake
    max_handshakes     how many may be in progress at a time
    client_fields      the header fields that tell of a client's certificate: what -> name
    """

    pairs: tuple[KeyPairSpec, ...]
    key_password: str = field(repr=False)
    authorities: PemSpec | None
    client_required: bool
    minimum: str
    ciphers: str
    handshake_timeout: float
    max_handshakes: int
    client_fields: Mapping[str, str]

    @property
    def files(self) -> list[str]:
        """The files that it is made of."""
        pems = [pem for pair in self.pairs for pem in (pair.certificate, pair.key)]
        return [pem.file for pem in (*pems, self.authorities) if pem is not None and pem.file]


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """An HTTPServer object. An empty address listens on every interface, IPv4 and IPv6. One that
    begins with `unix:` is a unix socket: then the port is 0.

    `expects_connections` tells that `max_connections` is not the default but was asked for.
    `reserved` are the names, in the form of `hyphenated`, of header fields that no client may
    send: those in which a server of the config tells of clients' certificates.
    """

    name: str
    port: int
    address: str
    socket_mode: int
    keep_alive: bool
    keep_alive_timeout: float
    max_connections: int
    expects_connections: bool
    client_max_body_size: int
    limits: RequestLimits
    max_connections_per_client: int | None
    trusted_proxies: tuple[Peers, ...]
    client_address_from: str | None
    forwarded_for: bool
    proxy_protocol: bool
    access_log_format: str
    ip_filter: IpFilterSpec | None
    rules: tuple[RuleSpec, ...]
    tls: TlsSpec | None = None
    reserved: frozenset[str] = frozenset()
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """One entry of a pipeline's `filters`; `spec` holds the kind's own fields.

    `files` are those whose content counts, with a digest of it: a filter is another one when it
    has changed.
    """

    name: str
    kind: Kind
    spec: Mapping[str, Any]
    place: str = field(default="", compare=False)
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One entry of `flow`: which filter, under which name, and where its results lead."""

    filter: str
    alias: str
    jump_if: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A Pipeline object; `flow` is written out even where the file leaves it empty."""

    name: str
    filters: tuple[FilterSpec, ...]
    flow: tuple[StepSpec, ...]
    data: Mapping[str, Any]


class Drain(NamedTuple):
    """How sessions are drained.

    delay       seconds for which a stop serves on, while readiness is false already
    window      seconds over which the Closes are spread
    deadline    seconds that a stop waits after the last Close, before it cuts what is still open
    code        the code of the Close (RFC 6455 §7.4)
    per_second  the most Closes in a second; 0: no limit
    """

    delay: float
    window: float
    deadline: float
    code: int
    per_second: int


@dataclass(frozen=True, slots=True)
class AdminSpec:
    """The admin interface. An address that begins with `unix:` is a unix socket.

    token       what whoever asks has to show; empty for nothing
    token_file  the file that it is read from at the start; empty for none
    metrics     `open`, or `token` as for everything else
    hosts       names that lead here, besides localhost, IPs and the address
    tap         what may be seen of sessions: `off`, `headers` or `payload` of their frames
    """

    address: str
    port: int
    token: str = field(repr=False)
    token_file: str
    metrics: str
    hosts: tuple[str, ...]
    tap: str
    place: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Tracing:
    """How requests and sessions are traced. What is not there is as the environment has it.

    endpoint      the URL that spans are sent to
    sample_ratio  the share of traces that is recorded, of those that begin here
    service_name  how traces call this gateway
    """

    endpoint: str = ""
    sample_ratio: float | None = None
    service_name: str = ""


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """A Gateway object, or what holds without one. Without `admin` nothing listens for it.
    `workers` is how many processes there are.
    """

    drain: Drain
    log_format: str
    admin: AdminSpec | None = None
    tracing: Tracing | None = None
    workers: int | Literal["auto"] = 1


@dataclass(frozen=True, slots=True)
class Config:
    """All objects of the files, in written order.

    `shown` is a list of them in JSON, as they may be shown.
    """

    servers: tuple[ServerSpec, ...]
    pipelines: tuple[PipelineSpec, ...]
    gateway: GatewaySpec
    shown: str = field(default="[]", compare=False, repr=False)

    @property
    def files(self) -> list[str]:
        """The files besides its own whose content counts."""
        entries = (entry for spec in self.pipelines for entry in spec.filters)
        return [name for entry in entries for name, _ in entry.files]
