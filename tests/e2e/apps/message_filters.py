"""Filters that read all messages of an application, and leave them what they are."""

from __future__ import annotations

from easews import Filter, Message, Reads, Session


class Reader(Filter):
    """Says, once, that it has got a message of each side."""

    reads = Reads(max_size=10_000_000)

    def on_open(self, session: Session) -> None:
        self._missing = {"client", "backend"}

    def on_message(self, session: Session, message: Message) -> Message:
        self._missing.discard(message.sender)
        if not self._missing:
            print(f"{self.kind} has read messages", flush=True)
            self._missing = {"neither"}
        return message


class LooksAtMessages(Reader):
    """Looks at messages."""

    kind = "LooksAtMessages"


class RewritesMessages(Reader):
    """Makes each message anew."""

    kind = "RewritesMessages"

    def on_message(self, session: Session, message: Message) -> Message:
        return super().on_message(session, message).with_data(message.data)
