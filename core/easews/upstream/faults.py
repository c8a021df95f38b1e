"""What is wrong with a pool's spec that its schema cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..filters import SpecFault
from .balance import policy_faults
from .balance.rebalancing import rebalance_faults
from .balance.sticky import sticky_faults
from .balance.tags import tag_faults
from .dialling.tlsfaults import tls_faults
from .health.configured import health_faults
from .names.resolving import resolve_faults
from .retries import retry_faults

Spec = Mapping[str, Any]


def pool_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of a pool's spec that its schema cannot express; `at` is the pool's place."""
    path = (*at, "servers")
    yield from _weight_faults(pool["servers"], path)
    yield from tag_faults(pool, at)
    balance = pool["loadBalance"]
    yield from policy_faults(balance, (*at, "loadBalance"))
    if "stickySession" in balance:
        yield from sticky_faults(balance["stickySession"], (*at, "loadBalance", "stickySession"))
    yield from resolve_faults(pool, at)
    yield from rebalance_faults(pool, at)
    yield from health_faults(pool, at)
    yield from retry_faults(pool.get("retries", {}), (*at, "retries"))
    yield from _queue_faults(pool, at)
    yield from tls_faults(pool, at)
    for number, server in enumerate(pool["servers"]):
        if "?" in server["url"]:
            yield SpecFault(
                (*path, number, "url"),
                "its query would never be sent: the query is the client's",
                "write the URL without its query",
            )
        if server["keepHost"] and pool.get("setUpstreamHost"):
            yield SpecFault(
                (*path, number, "keepHost"),
                "this server would get the client's Host, and its own by setUpstreamHost",
                "keep one of them",
            )


def _queue_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    most = pool.get("maxConnections")
    if "queue" in pool and any(
        server.get("maxConnections", most) is None for server in pool["servers"]
    ):
        yield SpecFault(
            (*at, "queue"),
            "nobody would ever wait: a server without maxConnections is never full",
            "write maxConnections beside queue, or for every server",
        )


def _weight_faults(servers: Sequence[Spec], at: Sequence[str | int]) -> Iterator[SpecFault]:
    weights = [server.get("weight") for server in servers]
    if None in weights and any(weight is not None for weight in weights):
        for number, weight in enumerate(weights):
            if weight is None:
                yield SpecFault(
                    (*at, number),
                    "this server has no weight, but others of its pool have one",
                    "give every server of the pool a weight, or none",
                )
    elif not any(weight is None or weight > 0 for weight in weights):
        yield SpecFault(
            at,
            "every server of this pool has the weight 0, so none may be chosen",
            "give at least one server a weight above 0",
        )
