"""ChatBot for easews: answers commands in a chat, in place of the backend."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from easews import Filter, Message, Reads, Result, Session, hookimpl

SCHEMA = {
    "type": "object",
    "properties": {
        "answers": {
            "type": "object",
            "propertyNames": {"pattern": "^/[a-z]+$"},
            "additionalProperties": {"type": "string"},
            "description": "Commands of your own, and what is answered to each.",
            "default": {},
            "examples": [{"/rules": "Be kind."}],
        },
        "prefix": {
            "type": "string",
            "description": "What each answer begins with.",
            "default": "bot: ",
            "examples": ["* "],
        },
    },
    "additionalProperties": False,
    "examples": [{"answers": {"/rules": "Be kind."}}],
}


class ChatBot(Filter):
    """Answers commands in a chat, in place of the backend."""

    kind = "ChatBot"
    api = 1
    schema = SCHEMA
    reads = Reads(senders=("client",), binary=False)

    def on_message(self, session: Session, message: Message) -> Result:
        if not message.text.startswith("/"):
            return message
        command = message.text.split()[0]
        session.send_to_client(self.spec["prefix"] + self._answer(command))
        return None  # the backend, and so everybody else in the chat, does not see it

    def _answer(self, command: str) -> str:
        answers: Mapping[str, str] = self.spec["answers"]
        match command:
            case "/help":
                return "I know " + ", ".join(sorted({*answers, "/help", "/time"}))
            case "/time":
                return f"it is {datetime.now(UTC):%H:%M} UTC"
        return answers.get(command, f"no such command: {command}; try /help")


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [ChatBot]
