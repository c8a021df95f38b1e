"""Who has spent how much in the current period. No I/O, and no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from easews import Session


@dataclass(slots=True)
class Account:
    """What a user has spent in this period, and their open sessions by id."""

    spent: int = 0
    sessions: dict[str, Session] = field(default_factory=dict)


class Books:
    """The accounts of all users."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._ends = 0.0

    def account(self, user: str, now: float, period: float) -> Account:
        """The account of `user`. A period that is over has all of them begin at 0."""
        if now >= self._ends:
            self._ends = now + period
            accounts = self._accounts.items()
            self._accounts = {who: Account(0, it.sessions) for who, it in accounts if it.sessions}
        return self._accounts.setdefault(user, Account())
