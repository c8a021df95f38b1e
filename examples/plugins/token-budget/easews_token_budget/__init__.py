"""TokenBudget for easews: limits what each user spends at a realtime model API.

The API reports in its events what an answer has cost::

    {"type": "response.done", "response": {"usage": {"total_tokens": 123}}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from easews import (
    Close,
    Context,
    Ending,
    Filter,
    Message,
    Reads,
    Result,
    Session,
    SpecFault,
    Template,
    hookimpl,
)

from .books import Account, Books

SPENT = "the token budget is spent"


@dataclass(frozen=True, slots=True)
class User:
    """Whose session it is: a note, from the handshake to the end of the session."""

    name: str


class TokenBudget(Filter):
    """Limits how many tokens the sessions of a user spend at a realtime model API."""

    kind = "TokenBudget"
    api = 1
    schema = "TokenBudget.json"
    reads = Reads(senders=("backend",), binary=False, max_size=4 * 1024 * 1024)

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        yield from Template.faults(spec["user"], ("user",))

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._user = Template(spec["user"])
        self._warn_at = spec["tokens"] * spec["warnAt"] / 100
        self._books = Books()

    def inherit(self, previous: Filter) -> None:
        """A reload gives nobody a new budget."""
        if isinstance(previous, TokenBudget):
            self._books = previous._books

    async def handle(self, ctx: Context) -> None:
        ctx.notes.put(User(self._user.render(ctx)))

    def on_open(self, session: Session) -> None:
        account = self._account(session)
        account.sessions[session.opening.id] = session
        # The handshake is not refused: browsers do not tell a page why one failed.
        if account.spent >= self.spec["tokens"]:
            self._end(session)

    def on_message(self, session: Session, message: Message) -> Result:
        tokens = tokens_of(message)
        if not tokens:
            return message
        account = self._account(session)
        before, account.spent = account.spent, account.spent + tokens
        if account.spent >= self.spec["tokens"]:
            for other in [*account.sessions.values()]:
                if other.opening.id != session.opening.id:
                    self._end(other)
            return [message, self._event("error", account), Close(1008, SPENT)]
        if before < self._warn_at <= account.spent:
            return [message, self._event("warning", account)]
        return message

    def on_close(self, session: Session, ending: Ending) -> None:
        self._account(session).sessions.pop(session.opening.id, None)

    def _account(self, session: Session) -> Account:
        user = session.notes[User].name
        return self._books.account(user, session.now(), self.spec["period"])

    def _end(self, session: Session) -> None:
        session.send_to_client(self._event("error", self._account(session)))
        session.close(1008, SPENT)

    def _event(self, kind: str, account: Account) -> str:
        budget, spent = self.spec["tokens"], account.spent
        text = SPENT if kind == "error" else f"{spent} of {budget} tokens are spent"
        about = {"code": "token_budget", "message": text, "spent": spent, "budget": budget}
        return json.dumps({"type": kind, kind: about})


def tokens_of(message: Message) -> int:
    """What an event says that an answer has cost; 0 for all other events."""
    if '"response.done"' not in message.text:
        return 0  # nearly all are pieces of an answer: they are not parsed
    try:
        event = message.json()
    except (ValueError, RecursionError):
        return 0
    match event:
        case {"type": "response.done", "response": {"usage": {"total_tokens": int(tokens)}}}:
            return tokens
    return 0


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [TokenBudget]
