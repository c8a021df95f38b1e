"""Which members of a pool may be chosen at present: the rules of `health`, applied to them.

What is known of a server is shared by all pools that name it, and so is what checks have found
when they check it in the same way. What follows from that is each pool's own affair.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any, Literal

from ...filters import SpecFault
from ..causes import Cause, cause_of, causes
from ..drained import drained_since
from ..servers import Member
from .breaker import Breaker, BreakerRule, breaker_faults
from .checks import Check, check_faults, check_from_spec
from .rules import Condition, EjectionRule, slow_start, usable

log: logging.Logger = logging.getLogger("easews.upstream")

Spec = Mapping[str, Any]

#: How a server is: see `ServerState`.
State = Literal["up", "down", "ejected", "open", "drained"]

#: In how many steps a server that is back gets its full weight.
STEPS = 20
#: Policies that do not look at the weight that a server has at present.
WEIGHTLESS = ("random", "ipHash", "headerHash", "cookieHash")


@dataclass(frozen=True, slots=True)
class HealthRules:
    """What a pool makes of the health of its servers.

    ejection     when failed requests take a server out, and for how long
    check        how servers are asked whether they are well; None for not at all
    panic_below  with fewer than this percentage of servers left all of them are used; 0 for never
    slow_start   seconds in which a server that is new or back gets its full weight; 0 for at once
    breaker      when so many requests fail that a server gets none for a while; None for never
    """

    ejection: EjectionRule = field(default_factory=EjectionRule)
    check: Check | None = None
    panic_below: int = 0
    slow_start: float = 0.0
    breaker: BreakerRule | None = None

    @classmethod
    def from_spec(cls, spec: Spec) -> HealthRules:
        """The rules of a pool's spec. What it does not say is as usual."""
        check = spec.get("healthCheck")
        return cls(
            _ejection(spec["ejection"]) if "ejection" in spec else EjectionRule(),
            None if check is None else check_from_spec(check),
            spec.get("panicBelow", 0),
            spec.get("loadBalance", {}).get("slowStart", 0.0),
            BreakerRule.from_spec(spec["circuitBreaker"]) if "circuitBreaker" in spec else None,
        )


def _ejection(spec: Spec) -> EjectionRule:
    return EjectionRule(
        spec["failures"], spec["for"], spec["maxFor"], spec["maxShare"], causes(spec["on"])
    )


@dataclass(frozen=True, slots=True)
class ServerState:
    """How a server of a pool is, for people to read.

    url         its URL
    state       whether it may be asked: up; down by its checks; ejected for failed requests; open,
                as its circuit breaker is; drained, because somebody has asked for that
    seconds     for how long that has been so; inf when it has always been
    last_error  why it last failed a check or a request; empty when it never has
    active      its open sessions and requests in progress
    weight      its share of the requests at present, in proportion to those of the others
    """

    url: str
    state: State
    seconds: float
    last_error: str
    active: int
    weight: float


class Availability:
    """Keeps `usable` and `weight` of a pool's members right.

    due  when that may have changed, on the clock: then `refresh`
    """

    def __init__(
        self, rules: HealthRules | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self.due: float = inf
        self._rules = HealthRules() if rules is None else rules
        self._clock = clock
        self._members: Sequence[Member] = ()
        self._panic = False

    def update(self, members: Sequence[Member]) -> None:
        """These are the pool's members from now on."""
        self._members = members
        for member in members:
            if self._rules.check is not None:
                member.checkup = member.standing.checkup(self._rules.check)
                if self._rules.check.on_unhealthy != "keep" and member.sessions is None:
                    member.sessions = set()
            if self._rules.breaker is not None and member.breaker is None:
                member.breaker = Breaker(self._rules.breaker)
        self._apply(self._clock())

    @property
    def due_in(self) -> float:
        """In how many seconds that is."""
        return self.due - self._clock()

    def expire(self) -> None:
        """The health of a server has changed: have the next `refresh` look at it."""
        self.due = -inf

    def refresh(self) -> bool:
        """Bring the members up to date when that is due. Whether it was."""
        now = self._clock()
        if now < self.due:
            return False
        self._apply(now)
        return True

    def _apply(self, now: float) -> None:
        rules = self._rules
        for member in self._members:
            member.usable = False
        members = [one for one in self._members if drained_since(one.server) is None]
        conditions = [_condition(member) for member in members]
        found = usable(conditions, rules.ejection.max_share, rules.panic_below, now)
        chosen = set(found.servers)
        self.due = found.until
        for index, (member, condition) in enumerate(zip(members, conditions, strict=True)):
            member.usable = index in chosen
            if member.breaker is not None:
                self._heed(member, member.breaker, now)
            if rules.slow_start:
                self._weigh(member, condition, now)
        if found.panic and not self._panic:
            log.warning("too few of %d servers are well: all of them are used", len(members))
        self._panic = found.panic

    def _weigh(self, member: Member, condition: Condition, now: float) -> None:
        over = self._rules.slow_start
        since = max(condition.back_since(now), member.standing.known_since)
        share = slow_start(since, over, now)
        member.weight = member.server.weight * share
        if share < 1:
            self.due = min(self.due, now + over / STEPS)

    def _heed(self, member: Member, breaker: Breaker, now: float) -> None:
        member.usable = member.usable and breaker.permits(now)
        if now < breaker.until:
            self.due = min(self.due, breaker.until)

    def begun(self, breaker: Breaker) -> None:
        """A request is sent to a server that has a breaker."""
        if breaker.begun():
            self.expire()

    def given_up(self, member: Member, openings: int) -> None:
        """A request to it has ended without telling anything: its client has left."""
        if member.breaker is not None and member.breaker.given_up(openings):
            member.standing.tell()  # the pool of another config may have the same breaker

    def failed(self, member: Member, error: Exception, openings: int) -> None:
        """A request to the server has failed. It began after so many openings of its breaker."""
        cause = cause_of(error)
        self._failed(member, cause, str(error))
        self._tell_breaker(member, cause, openings)

    def answered(self, member: Member, status: int, openings: int) -> None:
        """The server has answered a request, with this status."""
        if status in self._rules.ejection.on:
            self._failed(member, status, f"it answers with {status}")
        elif member.standing.ejection.succeeded(self._clock()):
            log.info("%s has answered: it is used again", member.server.url)
            member.standing.tell()
        self._tell_breaker(member, status, openings)

    def _tell_breaker(self, member: Member, cause: Cause, openings: int) -> None:
        breaker, rule = member.breaker, self._rules.breaker
        if breaker is None or rule is None:
            return
        if not breaker.ended(openings, cause in rule.on, self._clock()):
            return
        if breaker.until == -inf:
            log.info("the circuit breaker of %s is closed", member.server.url)
        else:
            log.warning("the circuit breaker of %s is open for %g s", member.server.url, rule.wait)
        member.standing.tell()

    def _failed(self, member: Member, cause: Cause, reason: str) -> None:
        rule, standing, url = self._rules.ejection, member.standing, member.server.url
        ejection = standing.ejection
        reason = reason.removeprefix(f"{url}: ")
        if cause not in rule.on:
            ejection.last_error = reason
        elif ejection.failed(rule, reason, self._clock()) and len(self._members) > 1:
            log.warning(
                "%s is ejected for %g s: %d failures in a row, the last one: %s",
                url,
                ejection.until - ejection.since,
                ejection.failures,
                reason,
            )
            standing.tell()

    def states(self) -> list[ServerState]:
        """How each server is."""
        now = self._clock()
        return [_state(member, now) for member in self._members]


def health_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """The faults of what a pool says of health that its schema cannot express."""
    if "healthCheck" in pool:
        yield from check_faults(pool["healthCheck"], (*at, "healthCheck"))
    if "circuitBreaker" in pool:
        yield from breaker_faults(pool["circuitBreaker"], (*at, "circuitBreaker"))
    ejection = pool.get("ejection")
    if ejection and ejection["maxFor"] < ejection["for"]:
        yield SpecFault(
            (*at, "ejection", "maxFor"),
            "it is shorter than `for`, the time of the first ejection",
            "write a duration of at least `for`",
        )
    balance = pool.get("loadBalance", {})
    if balance.get("slowStart") and balance.get("policy", "") in WEIGHTLESS:
        yield SpecFault(
            (*at, "loadBalance", "slowStart"),
            f"{balance['policy']} gives a server that is back its share at once",
            "choose a policy that looks at weights, such as leastConnections, or leave it out",
        )


def _condition(member: Member) -> Condition:
    return Condition(member.checkup, member.standing.ejection)


def _state(member: Member, now: float) -> ServerState:
    condition, standing = _condition(member), member.standing
    checked = "" if condition.checkup is None else condition.checkup.last_error
    state: State = "up"
    since = condition.back_since(now)
    error = standing.ejection.last_error or checked
    drained = drained_since(member.server)
    if drained is not None:
        state, since = "drained", drained
    elif not condition.up and condition.checkup is not None:
        state, since, error = "down", condition.checkup.since, checked
    elif member.breaker is not None and now < member.breaker.until:
        state = "open"
        since = member.breaker.since
    elif condition.ejected(now):
        state, since, error = "ejected", standing.ejection.since, standing.ejection.last_error
    return ServerState(member.server.url, state, now - since, error, standing.active, member.weight)
