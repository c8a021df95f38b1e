"""A filter that looks at each message and changes none: what a hook costs at the least."""

from __future__ import annotations

from easews import Filter, Message, Session, hookimpl


class Look(Filter):
    """Counts messages."""

    kind = "Look"
    seen = 0

    def on_message(self, session: Session, message: Message) -> Message:
        self.seen += 1
        return message


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [Look]
