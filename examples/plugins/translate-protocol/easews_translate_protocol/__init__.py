"""TranslateProtocol for easews: clients that speak lines talk to a backend that speaks JSON.

client   say,lobby,"hello, all"   ──▶   {"type": "say", "room": "lobby", "text": "hello, all"}
client   said,lobby,ada,hello     ◀──   {"type": "said", "room": "lobby", "by": "ada", ...}
"""

from __future__ import annotations

import csv
import json
from io import StringIO

from easews import Filter, Message, Reads, Result, Session, hookimpl

FIELDS = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "string"}},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "commands": {
            **FIELDS,
            "description": "What clients may say: the first word of a line, and the members that"
            " the others are in the JSON.",
            "examples": [{"say": ["room", "text"]}],
        },
        "events": {
            **FIELDS,
            "description": "What clients understand: the `type` of an object, and the members that"
            " are put into the line. Other types are dropped.",
            "examples": [{"said": ["room", "by", "text"]}],
        },
    },
    "required": ["commands", "events"],
    "additionalProperties": False,
    "examples": [{"commands": {"say": ["room", "text"]}, "events": {"said": ["by", "text"]}}],
}


class TranslateProtocol(Filter):
    """Translates lines with commas to JSON for the backend, and back for clients."""

    kind = "TranslateProtocol"
    api = 1
    schema = SCHEMA
    reads = Reads(binary=False)

    def on_message(self, session: Session, message: Message) -> Result:
        if message.sender == "backend":
            return self._to_line(message)
        try:
            rows = list(csv.reader(StringIO(message.text, newline=""), strict=True))
        except csv.Error as error:
            session.send_to_client(line("error", str(error)))
            return None
        return self._to_json(session, rows)

    def _to_json(self, session: Session, rows: list[list[str]]) -> list[str]:
        """A message for each row; several lines in one message become several messages."""
        messages = []
        for command, *values in filter(None, rows):
            members = self.spec["commands"].get(command)
            if members is None:
                session.send_to_client(line("error", f"no such command: {command}"))
            elif len(members) != len(values):
                session.send_to_client(line("error", f"{command} takes {', '.join(members)}"))
            else:
                members = dict(zip(members, values, strict=True))
                messages.append(json.dumps({"type": command, **members}))
        return messages

    def _to_line(self, message: Message) -> str | None:
        try:
            event = message.json()
        except (ValueError, RecursionError):
            return None
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str) or kind not in self.spec["events"]:
            return None  # clients that speak lines do not know it
        return line(kind, *(event.get(member, "") for member in self.spec["events"][kind]))


def line(*values: object) -> str:
    """Values with commas between them, quoted where they need it."""
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [TranslateProtocol]
