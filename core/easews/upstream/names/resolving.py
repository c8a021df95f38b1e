"""A pool's `resolve`: how its names are looked up, and when again. Values, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...addresses import Address, parse_ip, parse_nameserver
from ...filters import SpecFault
from ...http.urls import port_of, server_url

Spec = Mapping[str, Any]

#: Look-ups of several pools or processes that began together drift apart by up to this share.
_JITTER = 0.1
#: A name that cannot be looked up is tried again after this many seconds at the latest.
_LONGEST_RETRY = 30.0


@dataclass(frozen=True, slots=True)
class Resolve:
    """How the names of a pool are looked up.

    mode         ``each``: A and AAAA records, and each address is a server of its own.
                 ``srv``: SRV records, and each address of each target is
    nameservers  DNS servers to ask; where there are none, /etc/hosts and /etc/resolv.conf count
    min_ttl      seconds for which an answer counts at least
    max_ttl      seconds after which it is asked for again at the latest
    timeout      seconds for one look-up, all its attempts together
    """

    mode: str
    nameservers: tuple[Address, ...] = ()
    min_ttl: float = 5.0
    max_ttl: float = 300.0
    timeout: float = 5.0

    @classmethod
    def from_spec(cls, spec: str | Spec) -> Resolve | None:
        """From a pool's `resolve`. None where names are looked up at each connection."""
        if isinstance(spec, str):
            return None if spec == "dial" else cls(spec)
        if spec["mode"] == "dial":
            return None
        nameservers = tuple(map(parse_nameserver, spec["nameservers"]))
        return cls(spec["mode"], nameservers, spec["minTtl"], spec["maxTtl"], spec["timeout"])


def next_look_up(ttl: float, resolve: Resolve, chance: float) -> float:
    """Seconds until an answer with this TTL is asked for again. `chance` is from 0 to 1.

    Never before the TTL is over: until then a caching nameserver repeats the same answer.
    """
    return min(max(ttl, resolve.min_ttl), resolve.max_ttl) * (1 + _JITTER * chance)


def next_retry(failures: int, resolve: Resolve, chance: float) -> float:
    """Seconds until a name is looked up again that has failed so many times in a row."""
    wait = resolve.min_ttl * 2.0 ** min(failures - 1, 10)
    return min(wait, max(_LONGEST_RETRY, resolve.min_ttl)) * (1 + _JITTER * chance)


def resolve_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of a pool's `resolve` that its schema cannot express; `at` is the pool's place."""
    spec = pool["resolve"]
    settings: Spec = {"mode": spec} if isinstance(spec, str) else spec
    mode, here = settings["mode"], (*at, "resolve")
    if settings.get("minTtl", 0) > settings.get("maxTtl", 0):
        yield SpecFault(
            (*here, "minTtl"), "it is longer than maxTtl", "write a time of at most maxTtl"
        )
    if mode == "dial" and settings.get("nameservers"):
        yield SpecFault(
            (*here, "nameservers"),
            "they are never asked: in the mode dial the system looks names up",
            "write mode: each, or leave the nameservers out",
        )
    urls = [server["url"] for server in pool["servers"]]
    if mode == "each" and all(parse_ip(server_url(url).host) for url in urls):
        yield SpecFault(
            here,
            "there is nothing to look up: every server of this pool has an IP",
            "leave it out, or write host names in the URLs",
        )
    if mode == "srv":
        for number, url in enumerate(urls):
            if fault := _service_fault(url):
                yield SpecFault((*at, "servers", number, "url"), *fault)


def _service_fault(url: str) -> tuple[str, str] | None:
    if parse_ip(server_url(url).host):
        return "an IP has no SRV records", "write the name of a service, or resolve: each"
    if port_of(url) is not None:
        return "its port would not be used: SRV records give the port", "leave the port out"
    return None
