"""What follows from DNS records: which servers, and what is known of a name. Values, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from ...addresses import Address, bracketed, parse_ip
from ...http.urls import server_url
from ..servers import Server
from .resolving import Resolve


class Service(NamedTuple):
    """One SRV record. `weight` is its share among those of its priority."""

    priority: int
    weight: int
    port: int
    host: str


class Target(NamedTuple):
    """An address that a name leads to. A `port` of 0 is the port of the URL."""

    host: str
    port: int = 0
    weight: int = 1

    def __str__(self) -> str:
        return str(Address(self.host, self.port))


class Records(NamedTuple):
    """The answer to one question: addresses or services, and for how many seconds it counts."""

    values: tuple[Any, ...]
    ttl: float


@dataclass(slots=True, weakref_slot=True, eq=False)
class Known:
    """What this process knows of a name.

    records  the last answer to each question, by name and type
    targets  where the name leads to; None before the first answer
    trouble  why the last look-up failed; empty when it did not
    """

    records: dict[tuple[str, str], Records] = field(default_factory=dict)
    targets: tuple[Target, ...] | None = None
    trouble: str = ""


# One for each name of this process. So a new generation begins with the servers of the old one.
_known: WeakValueDictionary[tuple[str, str, tuple[Address, ...]], Known] = WeakValueDictionary()


def known_of(host: str, resolve: Resolve) -> Known:
    """What is known of `host`, if it is looked up as `resolve` says."""
    identity = (host, resolve.mode, resolve.nameservers)
    known = _known.get(identity)
    if known is None:
        known = _known[identity] = Known()
    return known


def preferred(services: Iterable[Service]) -> tuple[Service, ...]:
    """The services of the lowest priority, with weights above 0 (RFC 2782).

    There, a weight of 0 is a very small share, unless all are 0: then the shares are equal. The
    target "." says that there is no such service.
    """
    there = [service for service in services if service.host not in ("", ".")]
    lowest = min((service.priority for service in there), default=0)
    chosen = sorted(service for service in there if service.priority == lowest)
    if all(service.weight for service in chosen):
        return tuple(chosen)
    return tuple(service._replace(weight=10 * service.weight or 1) for service in chosen)


def targets_of(addresses: Iterable[str], *, port: int = 0, weight: int = 1) -> tuple[Target, ...]:
    """Each address once, in an order that does not depend on that of the answer."""
    hosts = {str(ip) for address in addresses if (ip := parse_ip(address)) is not None}
    return tuple(Target(host, port, weight) for host in sorted(hosts))


def merged(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Every address and port once. The weights of those that are the same are added."""
    weights: dict[tuple[str, int], int] = {}
    for host, port, weight in targets:
        weights[host, port] = weights.get((host, port), 0) + weight
    return tuple(Target(host, port, weight) for (host, port), weight in sorted(weights.items()))


def servers_at(server: Server, targets: Iterable[Target]) -> tuple[Server, ...]:
    """The servers that stand for `server`, whose name leads to `targets`.

    They have the path, the tags and the Host of `server`, and its weight times their own.
    """
    return tuple(_at(server, target) for target in targets)


def _at(server: Server, target: Target) -> Server:
    port = target.port or server.port
    return replace(
        server,
        url=f"{server_url(server.url).scheme}://{bracketed(target.host)}:{port}{server.path}",
        host=target.host,
        port=port,
        is_ip=True,
        weight=server.weight * target.weight,
        own_host=service_domain(server.own_host) if target.port else server.own_host,
        via=server.via.to(service_domain(server.host) if target.port else server.host),
    )


def service_domain(host: str) -> str:
    """The domain whose service `host` is: that of ``_ws._tcp.example.com`` is ``example.com``."""
    labels = host.split(".")
    while len(labels) > 1 and labels[0].startswith("_"):
        del labels[0]
    return ".".join(labels)


def difference(
    before: Sequence[Target], after: Sequence[Target]
) -> tuple[list[Target], list[Target]]:
    """What is new in `after`, and what has left since `before`. Weights do not count."""
    old, new = {target[:2] for target in before}, {target[:2] for target in after}
    return (
        [target for target in after if target[:2] not in old],
        [target for target in before if target[:2] not in new],
    )


def hosts_entries(text: str, host: str) -> tuple[str, ...]:
    """The addresses of `host` in the text of a hosts file, in its order."""
    wanted = host.rstrip(".").lower()
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return tuple(
        line[0]
        for line in lines
        if len(line) > 1 and wanted in map(str.lower, line[1:]) and parse_ip(line[0])
    )
