"""The servers of a pool, and which of them gets a request. Values and arithmetic, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Self

from ..http import Headers, Request
from ..owners import OWNER, Owner
from ..sessions import Session
from .attempts import Attempt
from .balance import Policy, policy_for
from .balance.rebalancing import Rebalance
from .balance.rotation import Rotation
from .balance.sticky import StickyCookie, sticky_policy
from .balance.tags import tagged
from .balance.turns import keep_turns
from .health.availability import Availability
from .health.checks import Check
from .health.configured import HealthRules
from .health.states import ServerState
from .names.resolving import Resolve
from .queueing import Line, Queue
from .retries import Retries
from .servers import Member, Server, Standing, Via, standing_of
from .shedding import Rebalancing
from .succession import Succession, in_common, inherit, new_member, renewed
from .watching import Watching

if TYPE_CHECKING:
    from .health.checking import Checking
    from .names.following import Following

Spec = Mapping[str, Any]


class Pool:
    """The servers of a pool, and which of them gets a request.

    A server with the weight 0 gets none. An async context manager, for the tasks that it may need:
    a filter enters it and leaves it together with itself.

    policy   the name of the policy by which it chooses, as in `loadBalance`
    retries  after which failures another server is asked
    line     the requests that wait while all servers are full
    retried  how often another server was asked, under this config and those before
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
        self.policy: str = "roundRobin"
        self.retries: Retries = Retries() if retries is None else retries
        self.line: Line = Line(Queue() if queue is None else queue)
        self.retried: int = 0
        self._sticky = sticky
        self._policy: Policy = Rotation() if policy is None else policy
        self._members: list[Member] = []
        self._expected: list[Member] = []  # of sessions that came before their name was looked up
        self._only: Member | None = None
        self._following: Following | None = None
        self._watching = Watching()
        self._succession = Succession()
        self._owner: Owner | None = None
        self._rebalancing: Rebalancing | None = None
        if rebalance is not None:
            self._rebalancing = Rebalancing(rebalance, self._succession)
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
        pool.policy = balance.get("policy", policy)
        if resolve is not None:
            pool._follow(servers, resolve)
        return pool

    def _follow(self, servers: Iterable[Server], resolve: Resolve) -> None:
        from .names.following import Following  # with dnspython, which no other pool needs

        self._following = Following(servers, resolve)
        self._watching.add(partial(self._following.run, self.replace))
        self.replace(self._following.servers)

    def _check(self, check: Check) -> None:
        # With what reads the answers, which no other pool needs.
        from .health.checking import Checking

        self._checking = Checking(check, self._succession)
        self._watching.add(self._checking.run)

    async def __aenter__(self) -> Self:
        await self._watching.__aenter__()
        self._succession.enter()
        self._owner = OWNER.get()
        if self._owner is not None:
            self._owner.holds.append(self)
        return self

    async def __aexit__(self, *raised: Any) -> None:
        if self._owner is not None:
            self._owner.holds.remove(self)
        self._succession.leave()
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
        """These are the servers from now on. Those that stay keep their turn, their clients …, also
        with another weight, limit or Host.

        Sessions and requests at a server that is gone go on.
        """
        known = [*self._members, *self._expected]
        self._members = renewed(known, servers, self._rebalancing is not None)
        self._expected = [it for it in self._expected if it not in self._members]
        self._availability.update(self._members)
        for member in self._members:
            member.standing.watch(self)
            if self.line.rule.size:
                member.standing.follow(self)
        if self._checking is not None:
            self._checking.update(self._members)
        self.changed()

    def inherit(self, previous: Pool) -> None:
        """Follow `previous`, which is still in use. To be called before this pool is entered.

        A server of both keeps its turn, its circuit breaker if the rule is the same, and its open
        sessions if both pools keep lists of them. A server that is new is a scale-out. From when
        this pool is entered, `previous` closes no sessions.
        """
        self.retried = previous.retried
        heirs = inherit(self._members, previous._members)
        self._succession.follow(previous._succession)
        keep_turns(self._policy, previous._policy, heirs)
        if self._rebalancing is not None:
            self._rebalancing.inherit(previous._members, previous._rebalancing)
        self._availability.update(self._members)
        self.changed()

    def in_common(self, other: Pool) -> int:
        """How many servers both have."""
        return in_common(self._members, other._members)

    def changed(self) -> None:
        """The weight of a member is another, or whether it is usable."""
        members = self._members
        # Where there is no choice, nothing is spent on it.
        self._only = members[0] if len(members) == 1 and members[0].usable else None
        self._policy.update([] if self._only else members)
        if self._rebalancing is not None:
            self._rebalancing.update(members)
        self.line.serve(self.next)
        self.line.rouse()

    def health_changed(self) -> None:
        """A server of the pool is down, back, ejected …"""
        self._availability.expire()
        self.line.serve(self.next)

    @property
    def due_in(self) -> float:
        """In how many seconds time alone brings a server back, at the soonest: then `refresh`."""
        return self._availability.due_in

    def refresh(self) -> None:
        """Use the servers that time has brought back, first of all for those who wait in line."""
        if self._availability.refresh():
            self.changed()

    def moved(self, standing: Standing, by: int) -> None:
        """A server has more or less to do than before. For those who wait in line."""
        if by < 0:
            self.line.serve(self.next)

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
        if self._availability.due < inf:
            self.refresh()
        if tried:
            return self._other(request, tried)
        member = self._only or self._policy.choose(request)
        if member is None:
            return None
        if member.full:
            return self._other(request, ())
        return Attempt(member, self._availability)

    def _other(self, request: Request, tried: Collection[Server]) -> Attempt | None:
        asked = {standing_of(server) for server in tried}

        def skip(member: Member) -> bool:
            return member.full or member.standing in asked

        if (member := self._only) is not None:
            member = None if skip(member) else member
        else:
            member = self._policy.choose(request, skip)
        return None if member is None else Attempt(member, self._availability)

    def adopt(self, session: Session) -> Attempt | None:
        """The attempt that has led to `session`, which was opened by the process before this one;
        None when its server is none of this pool.
        """
        return self._adopted(self._members, session)

    def expect(self, session: Session) -> Attempt | None:
        """The same where its server is none of this pool yet: a name that has not been looked up
        may lead to it. None when no name can.
        """
        url, following = session.opening.backend, self._following
        server = None if following is None else following.expected(url)
        if server is None:
            return None
        if all(member.server.url != url for member in self._expected):
            self._expected.append(new_member(server, self._rebalancing is not None))
        return self._adopted(self._expected, session)

    def _adopted(self, members: Iterable[Member], session: Session) -> Attempt | None:
        for member in members:
            if member.server.url == session.opening.backend:
                return Attempt.adopted(member, self._availability, session)
        return None

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
