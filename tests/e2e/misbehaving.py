"""A filter that does with messages what no filter should, for `easews run --watch-plugins`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from easews import Filter, Message, Reads, Session


def raise_what_ends_tasks(session: Session, message: Message) -> None:
    raise GeneratorExit


async def cancel(session: Session, message: Message) -> None:
    raise asyncio.CancelledError


async def sleep(session: Session, message: Message) -> None:
    await session.sleep(3600)


async def inject(session: Session, message: Message) -> None:
    while True:
        for _ in range(20):
            session.send_to_client(bytes(1_000_000))
        await session.sleep(0)


def block(session: Session, message: Message) -> Message:
    time.sleep(0.1)
    return message


MISDEEDS: dict[str, Callable[[Session, Message], Any]] = {
    "raises": raise_what_ends_tasks,
    "returns nonsense": lambda session, message: object(),
    "cancels": cancel,
    "sleeps": sleep,
    "injects without end": inject,
    "blocks": block,
    "multiplies": lambda session, message: [message] * 500,
}


class Misbehaves(Filter):
    """Does with each message of a client what its `how` says."""

    kind = "Misbehaves"
    schema: ClassVar[dict[str, Any]] = {"properties": {"how": {"enum": list(MISDEEDS)}}}

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self.reads = Reads(senders=("client",))

    def on_message(self, session: Session, message: Message) -> Any:
        return MISDEEDS[self.spec["how"]](session, message)


class Shouts(Filter):
    """Makes all letters of a client's messages large."""

    kind = "Shouts"
    reads = Reads(senders=("client",))

    def on_message(self, session: Session, message: Message) -> str:
        return message.text.upper()
