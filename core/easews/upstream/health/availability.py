"""Which members of a pool may be chosen at present: the rules of `health`, applied to them.

What is known of a server is shared by all pools that name it, and so is what checks have found
when they check it in the same way. What follows from that is each pool's own affair.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import inf
from time import monotonic

from ..causes import Cause, cause_of
from ..drained import drained_since
from ..servers import Member
from .breaker import Breaker
from .configured import HealthRules
from .rules import Condition, slow_start, usable
from .states import ServerState, condition_of, state_of

log: logging.Logger = logging.getLogger("easews.upstream")

#: In how many steps a server that is back gets its full weight.
STEPS = 20


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
        conditions = [condition_of(member) for member in members]
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
        return [state_of(member, now) for member in self._members]
