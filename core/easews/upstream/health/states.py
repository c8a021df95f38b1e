"""How a server of a pool is, for people to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..drained import drained_since
from ..servers import Member
from .rules import Condition

#: How a server is: see `ServerState`.
State = Literal["up", "down", "ejected", "open", "drained"]


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


def condition_of(member: Member) -> Condition:
    """What checks and requests have found."""
    return Condition(member.checkup, member.standing.ejection)


def state_of(member: Member, now: float) -> ServerState:
    """How the server is at the time `now`."""
    condition, standing = condition_of(member), member.standing
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
