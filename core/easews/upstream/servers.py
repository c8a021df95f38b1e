"""A server of a pool, and what this process knows of it. Values, no I/O."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic
from typing import Any, Protocol
from weakref import WeakSet, WeakValueDictionary

from ..addresses import bracketed, parse_ip
from ..http.urls import DEFAULT_PORTS, server_url
from ..net.sockets import KeepAlive
from ..sessions import Session
from .dialling.securing import SECURE, ClientTls, ClientTlsSpec, tls_for
from .health.breaker import Breaker
from .health.checks import Check
from .health.rules import Checkup, Ejection

Spec = Mapping[str, Any]

#: Seconds for a TLS handshake, unless a pool says otherwise.
TLS_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Via:
    """How the servers of a pool are reached.

    tls          TLS to those with wss:// or https://; None: as for a pool that says nothing of it
    tls_timeout  seconds for its handshake
    announces    the version of the PROXY protocol, `v1` or `v2`, by which a server is told whose
                 connection it is; empty for none
    keep_alive   the kernel's probes of an idle connection; None for none
    """

    tls: ClientTls | None = None
    tls_timeout: float = TLS_TIMEOUT
    announces: str = ""
    keep_alive: KeepAlive | None = None

    @classmethod
    def from_spec(cls, pool: Spec) -> Via:
        """From a pool's spec. CertificateError when a certificate or key cannot be used."""
        timeout = pool.get("timeouts", {}).get("tls", TLS_TIMEOUT)
        probes = KeepAlive(**pool["tcpKeepAlive"]) if "tcpKeepAlive" in pool else None
        return cls(tls_for(pool), timeout, pool.get("proxyProtocol", ""), probes)

    def to(self, name: str) -> Via:
        """The same to an address of `name`, which the server there has to prove."""
        if self.tls is None or self.tls.spec.server_name:
            return self
        spec = replace(self.tls.spec, server_name=name.removesuffix("."))
        return replace(self, tls=replace(self.tls, spec=spec))


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a pool.

    url        its URL, as in the config
    host       a host name, an IP address, or the path of a unix socket
    port       the port
    path       the path of the URL, which stands in front of the client's
    is_ip      whether `host` is an address as it stands: an IP, or the path of a unix socket
    weight     its share of the requests; 0 gets none
    keep_host  whether it gets the client's Host
    own_host   the Host that it gets; empty where that is the client's
    limit      how many sessions and requests it may have at a time
    secure     whether it speaks TLS
    via        how it is reached
    """

    url: str
    host: str
    port: int
    path: str
    is_ip: bool
    weight: int = 1
    keep_host: bool = False
    own_host: str = ""
    limit: float = inf
    secure: bool = False
    via: Via = Via()

    @classmethod
    def at(
        cls,
        url: str,
        *,
        weight: int = 1,
        keep_host: bool = False,
        set_host: bool = False,
        limit: float = inf,
        via: Via = Via(),
    ) -> Server:
        """The server at `url`. ValueError, which says what is wrong, when the URL is not valid.

        Servers behind one name choose their site by Host. An IP names no site, so a server with
        one gets the client's Host, unless `set_host`, as any does with `keep_host`, and one on a
        unix socket. A port is written into Host when it is not the scheme's own.
        """
        scheme, host, port, path = server_url(url)
        is_unix = scheme == "unix"
        is_ip = is_unix or parse_ip(host) is not None
        own_host = bracketed(host)
        if port != DEFAULT_PORTS.get(scheme):
            own_host += f":{port}"
        if keep_host or is_unix or (is_ip and not set_host):
            own_host = ""
        secure = scheme in SECURE
        if not secure and via.tls is not None:
            via = replace(via, tls=None)
        return cls(url, host, port, path, is_ip, weight, keep_host, own_host, limit, secure, via)

    @property
    def is_unix(self) -> bool:
        """Whether `host` is the path of a unix socket."""
        return self.host.startswith("/")

    @property
    def identity(self) -> str:
        """What makes it the same server in another pool: all that decides where requests go.

        ws:// and http:// lead to the same server.
        """
        return f"{'tls' if self.secure else 'plain'} {self.host} {self.port} {self.path}"


class Follower(Protocol):
    """Something that keeps count of what its servers have to do."""

    def moved(self, standing: Standing, by: int) -> None:
        """`standing.active` has changed by `by`."""


class Watcher(Protocol):
    """Something that has to know how well its servers are."""

    def health_changed(self) -> None:
        """The health of one of them has changed."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Standing:
    """What this process knows of a server.

    active       its open sessions and requests in progress, under whichever config they began
    ejection     what requests have found of it: failures in a row, the last error
    checkups     what checks have found of it, by the way in which they check
    known_since  when a pool first named it, by `time.monotonic`
    followers    those who are told when `active` changes
    watchers     those who are told when its health changes
    """

    active: int = 0
    ejection: Ejection = field(default_factory=Ejection)
    checkups: WeakValueDictionary[Check, Checkup] | None = None
    known_since: float = field(default_factory=monotonic)
    followers: WeakSet[Follower] | None = None
    watchers: WeakSet[Watcher] | None = None

    def follow(self, follower: Follower) -> None:
        """Tell `follower` from now on, for as long as somebody else keeps it."""
        if self.followers is None:
            self.followers = WeakSet()
        self.followers.add(follower)

    def count(self, by: int) -> None:
        """One more, or one less, that it has to do."""
        self.active += by
        if self.followers:
            for follower in list(self.followers):  # one that is told may bring another
                follower.moved(self, by)

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of changes from now on, for as long as somebody else keeps it."""
        if self.watchers is None:
            self.watchers = WeakSet()
        self.watchers.add(watcher)

    def tell(self) -> None:
        """The health of this server has changed."""
        for watcher in list(self.watchers or ()):
            watcher.health_changed()

    def checkup(self, check: Check) -> Checkup:
        """What such checks have found, whatever pool they were made for."""
        if self.checkups is None:
            self.checkups = WeakValueDictionary()
        found = self.checkups.get(check)
        if found is None:
            found = self.checkups[check] = Checkup(check.fails, check.passes)
        return found


# One for each server of this process, however many pools and generations name it. It is forgotten
# with the last of them.
_standings: WeakValueDictionary[tuple[str, Hashable], Standing] = WeakValueDictionary()


def standing_of(server: Server) -> Standing:
    """What is known of `server`, whatever pool names it, as long as its TLS is the same."""
    tls = server.via.tls.spec if server.via.tls else ClientTlsSpec()
    identity = (server.identity, tls if server.secure else None)
    standing = _standings.get(identity)
    if standing is None:
        standing = _standings[identity] = Standing()
    return standing


def tell_of(identity: str) -> None:
    """What is known of the server with this `Server.identity` has changed, whatever its TLS."""
    found = [standing for (known, _), standing in list(_standings.items()) if known == identity]
    for standing in found:
        standing.tell()


@dataclass(slots=True, eq=False)
class Member:
    """A server in its pool.

    server    where it is
    standing  what this process knows of it
    weight    its share of the traffic at present
    usable    whether it may be chosen at present
    limit     the most that it may have to do at a time
    checkup   what the pool's checks have found of it; None without checks
    breaker   the pool's circuit breaker for it, if it has any
    sessions  the open sessions that this pool has led to it; None where nobody asks for them
    """

    server: Server
    standing: Standing
    weight: float
    usable: bool = True
    limit: float = inf
    checkup: Checkup | None = None
    breaker: Breaker | None = None
    sessions: set[Session] | None = None

    @property
    def load(self) -> float:
        """What it would have to do with one more, by its weight."""
        return (self.standing.active + 1) / self.weight

    @property
    def full(self) -> bool:
        """Whether it has as much to do as it may."""
        return self.standing.active >= self.limit
