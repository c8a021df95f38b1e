"""What stays when the servers of a pool are others, by DNS or by a new config.   (pure)

A server stays the same for as long as its `Standing` does, whatever its weight, its limit and its
Host are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from ..sessions import Session
from .servers import Member, Server, Standing, standing_of


class _Former:
    """The members that there were. Each stands for one server only: a pool may name one twice."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._left: defaultdict[Standing, list[Member]] = defaultdict(list)
        for member in members:
            self._left[member.standing].append(member)

    def take(self, server: Server) -> Member | None:
        """The member that `server` was; of several the one with its Host, if there is one."""
        same = self._left.get(standing_of(server))
        if not same:
            return None
        found = min(same, key=lambda member: member.server.own_host != server.own_host)
        same.remove(found)
        return found


def renewed(
    members: Iterable[Member], servers: Iterable[Server], keeps_sessions: bool
) -> list[Member]:
    """The members of a pool that had `members` and has `servers` now.

    Those that stay have the new weight and limit. New ones keep a set of sessions if asked to.
    """
    former = _Former(members)
    return [
        _with(server, former.take(server), keeps_sessions)
        for server in servers
        if server.weight > 0
    ]


def new_member(server: Server, keeps_sessions: bool) -> Member:
    """A server that no member was before. It keeps a set of sessions if asked to."""
    sessions = set[Session]() if keeps_sessions else None
    standing, limit = standing_of(server), server.limit
    return Member(server, standing, server.weight, limit=limit, sessions=sessions)


def _with(server: Server, member: Member | None, keeps_sessions: bool) -> Member:
    if member is None:
        return new_member(server, keeps_sessions)
    member.server, member.weight, member.limit = server, server.weight, server.limit
    return member


def inherit(members: Iterable[Member], before: Iterable[Member]) -> dict[Member, Member]:
    """Let `members` of a new config share what those of the config `before` have: the sets of
    their sessions where both keep one, and circuit breakers with the same rule.

    Returns the members of before that have an heir, each with its heir.
    """
    former, heirs = _Former(before), dict[Member, Member]()
    for heir in members:
        if (member := former.take(heir.server)) is not None:
            heirs[member] = heir
            if heir.sessions is not None and member.sessions is not None:
                heir.sessions = member.sessions
            if heir.breaker and member.breaker and heir.breaker.rule == member.breaker.rule:
                heir.breaker = member.breaker
    return heirs


def in_common(members: Sequence[Member], others: Sequence[Member]) -> int:
    """How many servers both have."""
    ours, theirs = (Counter(member.standing for member in each) for each in (members, others))
    return (ours & theirs).total()


class Succession:
    """The place of a pool among those that follow each other from config to config.

    They know of the same sessions, so one of them only may close some: the last one in use.
    """

    def __init__(self) -> None:
        self._in_use: list[Succession] = []

    def follow(self, previous: Succession) -> None:
        """This is the next one after `previous`."""
        self._in_use = previous._in_use

    def enter(self) -> None:
        """The pool is used from now on."""
        self._in_use.append(self)

    def leave(self) -> None:
        """It is used no longer."""
        self._in_use.remove(self)

    @property
    def is_last(self) -> bool:
        """Whether no later one is in use."""
        return not self._in_use or self._in_use[-1] is self
