"""The servers of a pool, and which of them gets a request. Values and arithmetic, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Self

from ..filters import SpecFault
from ..http import Headers, Request
from .attempts import Attempt, Waiting
from .availability import Availability, HealthRules, ServerState, health_faults
from .balance import Policy, policy_faults, policy_for
from .balance.rotation import Rotation
from .checks import Check
from .rebalancing import Rebalance, rebalance_faults
from .resolving import Resolve, resolve_faults
from .retries import Retries, retry_faults
from .servers import Member, Server, Standing, Via, standing_of
from .shedding import Rebalancing
from .sticky import StickyCookie, sticky_faults, sticky_policy
from .tags import tag_faults, tagged
from .tlsfaults import tls_faults
from .watching import Watching

if TYPE_CHECKING:
    from .checking import Checking
    from .following import Following

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Queue:
    """How many requests wait while all servers are full, and for how many seconds each."""

    size: int = 0
    timeout: float = 0.0


class Pool:
    """The servers of a pool, and which of them gets a request.

    A server with the weight 0 gets none. An async context manager, for the tasks that it may need:
    a filter enters it and leaves it together with itself.

    retries  after which failures another server is asked
    queue    how requests wait while all servers are full
    """

    def __init__(
        self,
        servers: Iterable[Server],
        policy: Policy | None = None,
        *,
        sticky: StickyCookie | None = None,
        retries: Retries | None = None,
        queue: Queue | None = None,
        rebalance: Rebalance | None = None,
        health: HealthRules | None = None,
    ) -> None:
        """`policy` chooses; without one it is one server after the other, as `roundRobin` does.
        `sticky` is the cookie that `policy` looks at, if it does. `health` says which servers may
        be chosen.
        """
        self.retries: Retries = Retries() if retries is None else retries
        self.queue: Queue = Queue() if queue is None else queue
        self._sticky = sticky
        self._policy: Policy = Rotation() if policy is None else policy
        self._waiting: deque[Waiting] = deque()
        self._members: list[Member] = []
        self._only: Member | None = None
        self._following: Following | None = None
        self._watching = Watching()
        self._rebalancing: Rebalancing | None = None
        if rebalance is not None:
            self._rebalancing = Rebalancing(rebalance)
            self._watching.add(self._rebalancing.run)
        self._availability = Availability(health)
        self._checking: Checking | None = None
        if health is not None and health.check is not None:
            self._check(health.check)
        self.replace(servers)

    @classmethod
    def from_spec(cls, spec: Spec, policy: str = "roundRobin") -> Pool:
        """Make a pool from a spec that is valid for ``urn:easews:common#/$defs/pool``.

        `policy` is that of a pool whose `loadBalance` names none.
        """
        via = Via.from_spec(spec)
        queue = spec.get("queue")
        most = spec.get("maxConnections", inf)
        servers = (
            Server.at(
                entry["url"],
                weight=entry.get("weight", 1),
                keep_host=entry["keepHost"],
                set_host=spec.get("setUpstreamHost", False),
                limit=entry.get("maxConnections", most),
                via=via,
            )
            for entry in tagged(spec)
        )
        balance, sticky = spec.get("loadBalance", {}), None
        chosen = policy_for(balance, policy)
        if "stickySession" in balance:
            chosen, sticky = sticky_policy(balance["stickySession"], chosen)
        resolve = Resolve.from_spec(spec.get("resolve", "dial"))
        pool = cls(
            servers if resolve is None else (),
            chosen,
            sticky=sticky,
            retries=Retries.from_spec(spec.get("retries", {})),
            queue=None if queue is None else Queue(queue["size"], queue["timeout"]),
            rebalance=Rebalance.from_spec(spec["rebalance"]) if "rebalance" in spec else None,
            health=HealthRules.from_spec(spec),
        )
        if resolve is not None:
            pool._follow(servers, resolve)
        return pool

    def _follow(self, servers: Iterable[Server], resolve: Resolve) -> None:
        from .following import Following  # with dnspython, which no other pool needs

        self._following = Following(servers, resolve)
        self._watching.add(partial(self._following.run, self.replace))
        self.replace(self._following.servers)

    def _check(self, check: Check) -> None:
        from .checking import Checking  # with what reads the answers, which no other pool needs

        self._checking = Checking(check)
        self._watching.add(self._checking.run)

    async def __aenter__(self) -> Self:
        await self._watching.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._watching.__aexit__(*raised)

    @property
    def is_empty(self) -> bool:
        """Whether there is no server at present."""
        return not self._members

    async def wait_for_servers(self) -> None:
        """Return when a name has led to a server, or all have been looked up once.

        It takes as long as one look-up may. Without names it returns at once.
        """
        if self._following is not None:
            await self._following.wait_asked()

    @property
    def members(self) -> Sequence[Member]:
        """The servers that may get requests. Call `changed` after you have changed one."""
        return self._members

    def replace(self, servers: Iterable[Server]) -> None:
        """These are the servers from now on. Those that stay keep their turn, their clients …

        Sessions and requests at a server that is gone go on.
        """
        before = {member.server: member for member in self._members}
        self._members = [
            before.get(server)
            or Member(
                server,
                standing_of(server),
                server.weight,
                limit=server.limit,
                sessions=None if self._rebalancing is None else set(),
            )
            for server in servers
            if server.weight > 0
        ]
        self._availability.update(self._members)
        for member in self._members:
            member.standing.watch(self)
        if self._checking is not None:
            self._checking.update(self._members)
        self.changed()

    def changed(self) -> None:
        """The weight of a member is another, or whether it is usable."""
        members = self._members
        # Where there is no choice, nothing is spent on it.
        self._only = members[0] if len(members) == 1 and members[0].usable else None
        self._policy.update([] if self._only else members)
        if self._rebalancing is not None:
            self._rebalancing.update(members)
        if self.queue.size:
            for member in members:
                member.standing.follow(self)
            self._serve()

    def health_changed(self) -> None:
        """A server of the pool is down, back, ejected …"""
        self._availability.expire()
        self._serve()

    def states(self) -> list[ServerState]:
        """How each server is, for people to read."""
        return self._availability.states()

    @property
    def standings(self) -> dict[str, Standing]:
        """What is known of each server, by its URL: what it has to do, failures in a row …"""
        return {member.server.url: member.standing for member in self._members}

    def next(self, request: Request, tried: Collection[Server] = ()) -> Attempt | None:
        """An attempt at the server to ask for `request` now, or None when no server is left.

        `tried` are the servers that have failed for this request. From here on the server counts
        as busy with it, until `Attempt.over`.
        """
        if self._availability.due < inf and self._availability.refresh():
            self.changed()
        if tried:
            return self._other(request, tried)
        member = self._only or self._policy.choose(request)
        if member is None:
            return None
        if member.full:
            return self._other(request, ())
        return Attempt(member, self._availability)

    def _other(self, request: Request, tried: Collection[Server]) -> Attempt | None:
        def skip(member: Member) -> bool:
            return member.full or member.server in tried

        if (member := self._only) is not None:
            member = None if skip(member) else member
        else:
            member = self._policy.choose(request, skip)
        return None if member is None else Attempt(member, self._availability)

    def stick(self, request: Request, server: Server, headers: Headers) -> None:
        """Add the cookie that leads the client back to `server` to the `headers` of its answer, if
        the pool has such cookies and this one is to be set.
        """
        if self._sticky is not None:
            self._sticky.set(request, server, headers)

    @property
    def full(self) -> bool:
        """Whether there are servers, and all have as much to do as they may."""
        left = [member for member in self._members if member.usable]
        return bool(left) and all(member.full for member in left)

    def wait(self, request: Request, wake: Callable[[], None]) -> Waiting | None:
        """Wait in turn for a server that is not full; `wake` is called when there is one.

        None when too many wait already. The caller calls `leave` when it waits no longer.
        """
        if len(self._waiting) >= self.queue.size:
            return None
        self._waiting.append(waiting := Waiting(request, wake))
        return waiting

    def leave(self, waiting: Waiting) -> None:
        """Wait no longer. An attempt that has come meanwhile is the caller's."""
        if waiting.attempt is None:
            self._waiting.remove(waiting)

    def moved(self, standing: Standing, by: int) -> None:
        """A server has more or less to do than before."""
        if by < 0:
            self._serve()

    def _serve(self) -> None:
        """Give what has become free to those that wait."""
        while self._waiting and (attempt := self.next(self._waiting[0].request)) is not None:
            waiting = self._waiting.popleft()
            waiting.attempt = attempt
            waiting.wake()


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
