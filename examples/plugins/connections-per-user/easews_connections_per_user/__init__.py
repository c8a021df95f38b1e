"""ConnectionsPerUser for easews: lets each user have only so many open sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from easews import Context, Ending, Filter, Session, SpecFault, Template, hookimpl, problem

SCHEMA = {
    "type": "object",
    "properties": {
        "user": {
            "type": "string",
            "description": "Whose session it is, a template. Where it is empty, there is no limit.",
            "examples": ["{{Label.user}}"],
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "description": "How many sessions a user may have open.",
            "default": 5,
            "examples": [3],
        },
        "retryAfter": {
            "$ref": "urn:easews:common#/$defs/duration",
            "description": "When a client that was refused may try again.",
            "default": "10s",
            "examples": ["1m"],
        },
    },
    "required": ["user"],
    "additionalProperties": False,
    "examples": [{"user": "{{Header.X-User}}", "limit": 3}],
}


@dataclass(frozen=True, slots=True)
class User:
    """Whose session it is: a note, from the handshake to the end of the session."""

    name: str


class ConnectionsPerUser(Filter):
    """Lets each user have only so many open sessions; further handshakes get 429."""

    kind = "ConnectionsPerUser"
    api = 1
    schema = SCHEMA
    results = ("tooManyConnections",)

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        yield from Template.faults(spec["user"], ("user",))

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._user = Template(spec["user"])
        self._open: Counter[str] = Counter()

    def inherit(self, previous: Filter) -> None:
        """After a reload, sessions that the previous instance has let in still count."""
        if isinstance(previous, ConnectionsPerUser):
            self._open = previous._open

    async def handle(self, ctx: Context) -> str | None:
        user = self._user.render(ctx)
        if self._open[user] >= self.spec["limit"]:
            detail = f"{user} has {self._open[user]} open sessions; close one of them first"
            retry = [("Retry-After", str(ceil(self.spec["retryAfter"])))]
            ctx.response = problem(ctx.request, 429, detail, retry, id=ctx.id)
            return "tooManyConnections"
        if user:
            ctx.notes.put(User(user))
        return None

    # A session counts from here on, and not from `handle`: the backend may refuse the handshake.
    def on_open(self, session: Session) -> None:
        if user := session.notes.get(User):
            self._open[user.name] += 1
            if self._open[user.name] > self.spec["limit"]:  # several handshakes at the same time
                session.close(1008, "too many connections")

    def on_close(self, session: Session, ending: Ending) -> None:
        if user := session.notes.get(User):
            self._open[user.name] -= 1
            if not self._open[user.name]:
                del self._open[user.name]  # users come and go


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [ConnectionsPerUser]
