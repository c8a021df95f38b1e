"""Which sessions may not stay, though the gateway goes on: each of them is drained."""

from __future__ import annotations

from collections.abc import Iterable

from ...config.model import Drain
from ...sessions import Session, Sessions
from ...upstream import running_pools
from ...upstream.drained import drain, drain_only, identity_of, is_drained
from ..control import Refused
from .changes import listed
from .draining import Draining
from .generations import Generations
from .reload import Plan

#: How many older generations may have sessions. Those of the oldest are drained when there are
#: more: each keeps its filters, with what they hold in memory and in the background.
MOST_OLDER = 10
_LOST, _TOO_OLD = "its path is gone", "its config is too old"
_SERVER_DRAINED = "its server is drained"


class Eviction:
    """Finds those sessions of `sessions`. `draining` closes them."""

    def __init__(self, sessions: Sessions, generations: Generations, draining: Draining) -> None:
        self._sessions = sessions
        self._generations = generations
        self._draining = draining
        self._plan: Plan | None = None  # the latest

    def config_replaced(self, plan: Plan, how: Drain) -> None:
        """Drain those whose path is gone, and those of the oldest generations."""
        self._plan = plan
        lost = [session for session in self._sessions if self._is_lost(session)]
        self._draining.begin(lost, how, _LOST, self._is_lost)
        for past in self._generations.older[:-MOST_OLDER]:
            old = [session for session in self._sessions if past.opened(session.opening)]
            self._draining.begin(old, how, _TOO_OLD)

    def drain_server(self, url: str, how: Drain) -> int:
        """Drain the sessions with a server, which gets nothing new; how many these are. Refused
        when no pool has it.
        """
        identity = identity_of(url)
        pools = [running.pool for running in running_pools(self._generations.owners(older=True))]
        known = {server.url for pool in pools for server in pool.states()}
        if identity not in map(identity_of, known):
            there_are = listed(sorted(known), 5, ", ") or "none"
            raise Refused(f"no pool has the server {url}; those that there are: {there_are}")
        drain(url)
        chosen = [one for one in self._sessions if identity_of(one.opening.backend) == identity]
        self._draining.begin(chosen, how, _SERVER_DRAINED, _is_at_drained)
        return len(chosen)

    def drain_servers(self, identities: Iterable[str], how: Drain) -> None:
        """Drain the sessions with these servers, and no others; they get nothing new."""
        if drain_only(identities):
            chosen = [session for session in self._sessions if _is_at_drained(session)]
            self._draining.begin(chosen, how, _SERVER_DRAINED, _is_at_drained)

    def session_opened(self, session: Session, how: Drain) -> None:
        """Drain it when its server was drained or its path has gone while it was opening."""
        is_older = session.opening.generation != self._generations.served.number
        if _is_at_drained(session):
            self._draining.begin([session], how, _SERVER_DRAINED, _is_at_drained)
        elif is_older and self._is_lost(session):
            self._draining.begin([session], how, _LOST, self._is_lost)

    def _is_lost(self, session: Session) -> bool:
        return self._plan is not None and self._plan.drops(session.opening.route)


def _is_at_drained(session: Session) -> bool:
    return is_drained(session.opening.backend)
