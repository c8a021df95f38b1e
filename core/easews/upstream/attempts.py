"""One try to have a server answer a request. Values, no I/O."""

from __future__ import annotations

from ..sessions import Session
from .health.availability import Availability
from .servers import Member, Server, Standing


class Attempt:
    """One try to have a server answer a request.

    Call `failed` or `succeeded` once it is known which it was, and `over` once the server has
    nothing more to do for the request: when its answer is read, or its session has ended.
    """

    # An open session keeps it, so it holds little.
    __slots__ = ("_availability", "_is_over", "_is_told", "_member", "_openings", "_session")

    def __init__(self, member: Member, availability: Availability) -> None:
        self._member = member
        self._availability = availability
        self._session: Session | None = None
        self._is_over = self._is_told = False
        self._openings = 0  # of its breaker, when it began
        member.standing.count(1)
        if member.breaker is not None:
            self._openings = member.breaker.openings
            availability.begun(member.breaker)

    @classmethod
    def adopted(cls, member: Member, availability: Availability, session: Session) -> Attempt:
        """One that has led to `session` in the process before this one."""
        attempt = cls.__new__(cls)
        attempt._member, attempt._availability = member, availability
        attempt._session = None
        attempt._is_over, attempt._is_told, attempt._openings = False, True, 0
        member.standing.count(1)
        attempt.opened(session)
        return attempt

    @property
    def server(self) -> Server:
        """The server to ask."""
        return self._member.server

    @property
    def standing(self) -> Standing:
        """What this process knows of it."""
        return self._member.standing

    def succeeded(self, status: int = 0) -> None:
        """The server has answered, with this status."""
        self._is_told = True
        if status >= 400 or self.standing.ejection.failures or self._member.breaker is not None:
            self._availability.answered(self._member, status, self._openings)

    def failed(self, cause: Exception) -> None:
        """The server could not be reached, or did not answer."""
        self._is_told = True
        self._availability.failed(self._member, cause, self._openings)

    def opened(self, session: Session) -> None:
        """The request leads to this session, which the pool may close."""
        if self._member.sessions is not None:
            self._session = session
            self._member.sessions.add(session)

    def over(self) -> None:
        """The server has nothing more to do for the request. A second call does nothing."""
        if not self._is_over:
            self._is_over = True
            if self._member.breaker is not None and not self._is_told:
                self._availability.given_up(self._member, self._openings)
            self.standing.count(-1)
            if self._session is not None and self._member.sessions is not None:
                self._member.sessions.discard(self._session)
