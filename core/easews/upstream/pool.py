"""Which server is next. Values and arithmetic, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..filters import SpecFault
from ..http import Request
from .servers import Server, Standing, standing_of

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to have `server` answer a request. Call `succeeded` or `failed` afterwards.

    server    the server to ask
    standing  what this process knows of it
    """

    server: Server
    standing: Standing

    def succeeded(self) -> None:
        """The server has answered, with whatever status."""
        if self.standing.failures:
            self.standing.failures = 0

    def failed(self, cause: Exception) -> None:
        """The server could not be reached, or did not answer."""
        self.standing.failures += 1
        self.standing.last_error = str(cause)


class Pool:
    """The servers of a pool, and whose turn it is.

    The policy is smooth weighted round robin: with the weights 5, 1 and 1 the order is
    a a b a c a a rather than a a a a a b c.
    """

    def __init__(self, servers: Iterable[Server]) -> None:
        self._servers = [server for server in servers if server.weight > 0]
        self._attempts = [Attempt(server, standing_of(server)) for server in self._servers]
        self._shares = [0] * len(self._servers)
        self._total = sum(server.weight for server in self._servers)

    @classmethod
    def from_spec(cls, spec: Spec) -> Pool:
        """Make a pool from a spec that is valid for ``urn:easews:common#/$defs/pool``."""
        return cls(
            Server.at(entry["url"], weight=entry.get("weight", 1), keep_host=entry["keepHost"])
            for entry in spec["servers"]
        )

    @property
    def standings(self) -> dict[str, Standing]:
        """What is known of each server, by its URL: failures in a row, and the last error."""
        return {attempt.server.url: attempt.standing for attempt in self._attempts}

    def next(self, request: Request, tried: Collection[Server] = ()) -> Attempt | None:
        """An attempt at the server to ask for `request` now, or None when no server is left.

        `tried` are the servers that have failed for this request. The call without any moves the
        pool on to its next turn.
        """
        attempts, shares = self._attempts, self._shares
        if not tried and len(attempts) > 1:
            for index, server in enumerate(self._servers):
                shares[index] += server.weight
            index = max(range(len(shares)), key=shares.__getitem__)
            shares[index] -= self._total
            return attempts[index]
        left = [index for index, attempt in enumerate(attempts) if attempt.server not in tried]
        return attempts[max(left, key=shares.__getitem__)] if left else None


def pool_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of a pool's spec that its schema cannot express; `at` is the pool's place."""
    path = (*at, "servers")
    yield from _weight_faults(pool["servers"], path)
    for number, server in enumerate(pool["servers"]):
        if "?" in server["url"]:
            yield SpecFault(
                (*path, number, "url"),
                "its query would never be sent: the query is the client's",
                "write the URL without its query",
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
