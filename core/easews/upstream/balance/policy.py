"""What every policy does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ...http import Request
from ..servers import Member

#: Whether a member must not be chosen for this request: it has failed, or it is full.
Skip = Callable[[Member], bool]


class Policy(Protocol):
    """Chooses a server for each request.

    A choice must not take longer the more servers there are: a pool may have a thousand.
    """

    def update(self, members: Sequence[Member]) -> None:
        """These are the members from now on. Called again when one's weight or `usable` changes."""

    def choose(self, request: Request, skip: Skip | None = None) -> Member | None:
        """The member for `request`, None when there is none.

        With `skip` the request was refused by the first choice. Then the choice may take longer,
        and is nobody's turn.
        """


def usable(members: Sequence[Member]) -> list[Member]:
    """Those that may be chosen."""
    return [member for member in members if member.usable]
