"""The servers of a pool, and attempts at them. Values and arithmetic, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..filters import SpecFault
from ..http import Request
from .balance import Policy, policy_faults, policy_for
from .balance.rotation import Rotation
from .servers import Member, Server, Standing, standing_of

Spec = Mapping[str, Any]


class Attempt:
    """One try to have a server answer a request.

    Call `failed` or `succeeded` once it is known which it was, and `over` once the server has
    nothing more to do for the request: when its answer is read, or its session has ended.

    server    the server to ask
    standing  what this process knows of it
    """

    __slots__ = ("_is_over", "server", "standing")

    def __init__(self, server: Server, standing: Standing) -> None:
        self.server: Server = server
        self.standing: Standing = standing
        self._is_over = False
        standing.count(1)

    def succeeded(self) -> None:
        """The server has answered, with whatever status."""
        if self.standing.failures:
            self.standing.failures = 0

    def failed(self, cause: Exception) -> None:
        """The server could not be reached, or did not answer."""
        self.standing.failures += 1
        self.standing.last_error = str(cause)

    def over(self) -> None:
        """The server has nothing more to do for the request. A second call does nothing."""
        if not self._is_over:
            self._is_over = True
            self.standing.count(-1)


class Pool:
    """The servers of a pool, and which of them gets a request.

    A server with the weight 0 gets none.
    """

    def __init__(self, servers: Iterable[Server], policy: Policy | None = None) -> None:
        """`policy` chooses; without one it is one server after the other, as `roundRobin` does."""
        self._policy: Policy = Rotation() if policy is None else policy
        self._members: list[Member] = []
        self._only: Member | None = None
        self.replace(servers)

    @classmethod
    def from_spec(cls, spec: Spec, policy: str = "roundRobin") -> Pool:
        """Make a pool from a spec that is valid for ``urn:easews:common#/$defs/pool``.

        `policy` is that of a pool whose `loadBalance` names none.
        """
        servers = (
            Server.at(entry["url"], weight=entry.get("weight", 1), keep_host=entry["keepHost"])
            for entry in spec["servers"]
        )
        return cls(servers, policy_for(spec.get("loadBalance", {}), policy))

    @property
    def members(self) -> Sequence[Member]:
        """The servers that may get requests. Call `changed` after you have changed one."""
        return self._members

    def replace(self, servers: Iterable[Server]) -> None:
        """These are the servers from now on. Those that stay keep their turn, their clients …"""
        before = {member.server: member for member in self._members}
        self._members = [
            before.get(server) or Member(server, standing_of(server), server.weight)
            for server in servers
            if server.weight > 0
        ]
        self.changed()

    def changed(self) -> None:
        """The weight of a member is another, or whether it is usable."""
        members = self._members
        # Where there is no choice, nothing is spent on it.
        self._only = members[0] if len(members) == 1 and members[0].usable else None
        if self._only is None:
            self._policy.update(members)

    @property
    def standings(self) -> dict[str, Standing]:
        """What is known of each server, by its URL: what it has to do, failures in a row …"""
        return {member.server.url: member.standing for member in self._members}

    def next(self, request: Request, tried: Collection[Server] = ()) -> Attempt | None:
        """An attempt at the server to ask for `request` now, or None when no server is left.

        `tried` are the servers that have failed for this request. From here on the server counts
        as busy with it, until `Attempt.over`.
        """
        member = self._only
        if tried:
            member = self._policy.choose(request, lambda one: one.server in tried)
        elif member is None:
            member = self._policy.choose(request)
        return None if member is None else Attempt(member.server, member.standing)


def pool_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of a pool's spec that its schema cannot express; `at` is the pool's place."""
    path = (*at, "servers")
    yield from _weight_faults(pool["servers"], path)
    yield from policy_faults(pool["loadBalance"], (*at, "loadBalance"))
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
