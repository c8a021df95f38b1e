"""Looking up names in DNS: addresses and services with their TTL. The only module with dnspython.

It is imported only where a pool has `resolve`. dnspython rather than getaddrinfo, which knows
neither TTL nor SRV, asks no other nameserver than the system's, and blocks a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import anyio
from anyio import to_thread
from dns import asyncbackend, asyncresolver
from dns.message import QueryMessage
from dns.nameserver import Do53Nameserver
from dns.resolver import NXDOMAIN

from .records import (
    Known,
    Records,
    Service,
    Target,
    difference,
    hosts_entries,
    merged,
    preferred,
    targets_of,
)
from .resolving import Resolve

log: logging.Logger = logging.getLogger("easews.upstream")

HOSTS = Path("/etc/hosts")
RESOLV_CONF = Path("/etc/resolv.conf")

#: Questions of one look-up that are asked at once: a service may have hundreds of targets.
_AT_ONCE = 16

T = TypeVar("T")


class Outcome(NamedTuple):
    """What a look-up has brought.

    targets  where the name leads to; None if that was never known
    ttl      seconds for which the answers count
    trouble  why a question had no answer, if one had none; `targets` is then what is still known
    """

    targets: tuple[Target, ...] | None
    ttl: float
    trouble: str = ""


async def look_up(host: str, resolve: Resolve, known: Known) -> Outcome:
    """Ask where `host` leads to, and keep that in `known`. Changes are logged, failures once.

    It does not raise when nameservers fail: then the last answer still counts. "There is no such
    name" and "it has no address" are answers, with no target.
    """
    asking = _Asking(resolve, known)
    targets = await (asking.services(host) if resolve.mode == "srv" else asking.addresses(host))
    trouble = asking.trouble
    _report_trouble(host, known, trouble, targets or known.targets)
    known.trouble = trouble
    if trouble and not targets:
        return Outcome(known.targets, 0, trouble)
    _report_change(host, known.targets, targets)
    known.records, known.targets = asking.answers, targets
    return Outcome(targets, _shortest(asking.answers.values()), trouble)


def _report_trouble(
    host: str, known: Known, trouble: str, targets: tuple[Target, ...] | None
) -> None:
    if trouble and not known.trouble:
        effect = "its servers are those that are known" if targets else "it has no server yet"
        log.warning("%s cannot be looked up: %s; %s", host, trouble, effect)
    elif known.trouble and not trouble:
        log.info("%s can be looked up again", host)


def _report_change(host: str, before: tuple[Target, ...] | None, now: tuple[Target, ...]) -> None:
    if not now and before != now:
        log.warning("%s leads to no address: it has no server", host)
    elif changes := _changes(*difference(before or (), now)):
        log.info("%s: %s", host, changes)


def _changes(came: list[Target], left: list[Target]) -> str:
    parts = [("new ", came), ("gone ", left)]
    return "; ".join(word + ", ".join(map(str, some)) for word, some in parts if some)


class _Asking:
    """The questions of one look-up. An earlier answer stands in for one that does not come."""

    def __init__(self, resolve: Resolve, known: Known) -> None:
        self._resolve = resolve
        self._earlier = known.records
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self.answers: dict[tuple[str, str], Records] = {}
        self.trouble = ""

    async def services(self, host: str) -> tuple[Target, ...]:
        found = await self._ask(host, "SRV")
        calls = [lambda service=service: self._targets(service) for service in preferred(found)]
        return merged(chain.from_iterable(await _together(calls)))

    async def _targets(self, service: Service) -> tuple[Target, ...]:
        return await self.addresses(service.host, port=service.port, weight=service.weight)

    async def addresses(self, host: str, *, port: int = 0, weight: int = 1) -> tuple[Target, ...]:
        if not self._resolve.nameservers and (listed := await to_thread.run_sync(_listed, host)):
            self.answers[host, "hosts"] = Records(listed, 0)
            return targets_of(listed, port=port, weight=weight)
        calls = [lambda kind=kind: self._ask(host, kind) for kind in ("A", "AAAA")]
        found = chain.from_iterable(await _together(calls))
        return targets_of(found, port=port, weight=weight)

    async def _ask(self, host: str, kind: str) -> tuple[Any, ...]:
        async with self._limiter:
            try:
                records = await _query(host, kind, self._resolve)
            except Exception as error:  # dnspython reads settings and what strangers send
                self.trouble = self.trouble or str(error) or type(error).__name__
                earlier = self._earlier.get((host, kind))
                if earlier is None:
                    return ()
                records = earlier
        self.answers[host, kind] = records
        return records.values


async def _together(calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    found: list[T] = []

    async def one(call: Callable[[], Awaitable[T]]) -> None:
        found.append(await call())

    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(one, call)
    return found


async def _query(host: str, kind: str, resolve: Resolve) -> Records:
    """The answer of a nameserver to one question. Raises when none answers."""
    resolver = await to_thread.run_sync(_resolver, resolve)
    # dnspython keeps the first backend for the process unless it is told.
    backend = asyncbackend.get_backend(asyncbackend.sniff())
    try:
        answer = await resolver.resolve(
            host, kind, search=True, backend=backend, raise_on_no_answer=False
        )
    except NXDOMAIN as error:
        responses = error.responses()  # type: ignore[no-untyped-call]
        return Records((), min(map(_ttl, responses.values())))
    values = tuple(_service(data) if kind == "SRV" else data.address for data in answer)
    return Records(values, _ttl(answer.response))


def _shortest(answers: Collection[Records]) -> float:
    """The shortest TTL of the records that are there; if none is, of the answers that say so."""
    there = [records for records in answers if records.values]
    return min((records.ttl for records in there or answers), default=0)


def _resolver(resolve: Resolve) -> asyncresolver.Resolver:
    """A resolver with the system's settings as they are now, or with our nameservers."""
    if resolve.nameservers:
        resolver = asyncresolver.Resolver(configure=False)
        resolver.nameservers = [Do53Nameserver(*address) for address in resolve.nameservers]
    else:
        resolver = asyncresolver.Resolver(filename=str(RESOLV_CONF))
    resolver.lifetime = resolve.timeout
    resolver.timeout = resolve.timeout / 3  # a lost datagram is sent again
    return resolver


def _listed(host: str) -> tuple[str, ...]:
    try:
        text = HOSTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return hosts_entries(text, host)


def _ttl(response: QueryMessage) -> float:
    """The smallest TTL on the way to the answer; that of an answer "no" is in its SOA."""
    return float(response.resolve_chaining().minimum_ttl)


def _service(data: Any) -> Service:
    return Service(data.priority, data.weight, data.port, data.target.to_text())
