"""What holds for the requests of one pool.   (values, no I/O)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from easews.upstream import Client, KeepLimits, Pool, Timeouts


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """A pool of servers, and what a config says of requests to it.

    pool           the servers, and how long their answer may take, all attempts included
    client         sends requests to them
    timeouts       seconds that a server may take for each step
    failure_codes  the statuses that have the result failureCode
    client_limit   bytes of a client's largest body, -1 for any; None for the path's limit
    server_limit   bytes of a server's largest body, -1 for any
    """

    pool: Pool
    client: Client
    timeouts: Timeouts
    failure_codes: frozenset[int]
    client_limit: int | None
    server_limit: int

    @classmethod
    def from_spec(
        cls, spec: Mapping[str, Any], keep: KeepLimits, server_limit: int
    ) -> PoolSettings:
        """Make them from a pool's spec, whose defaults are filled in, and from what the filter has
        for all of its pools.
        """
        pool, times = Pool.from_spec(spec), spec["timeouts"]
        pool.retries = pool.retries.within(spec["timeout"] or inf, "timeout")
        timeouts = Timeouts(times["connect"], times["response"], times["idle"])
        return cls(
            pool=pool,
            client=Client(timeouts, keep),
            timeouts=timeouts,
            failure_codes=frozenset(spec["failureCodes"]),
            client_limit=spec.get("clientMaxBodySize"),
            server_limit=spec.get("serverMaxBodySize", server_limit),
        )
