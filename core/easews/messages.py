"""Messages of a WebSocket, as filters read and change them. Values, no I/O."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

#: Who has sent a message.
Sender = Literal["client", "backend"]

#: What stands for a message: str for a text message, bytes for a binary one.
Data: TypeAlias = str | bytes

#: Bytes that a message may have for a filter that says nothing of it.
MAX_SIZE = 1024 * 1024


class Message:
    """One message, its fragments joined and inflated (RFC 6455 §5.6).

    data    str for a text message, bytes for a binary one
    sender  who has sent it

    Do not change it: a hook returns another one, such as ``message.with_data("…")``.
    """

    __slots__ = ("data", "sender")

    def __init__(self, data: Data, sender: Sender) -> None:
        self.data: Data = data
        self.sender: Sender = sender

    @property
    def is_text(self) -> bool:
        """Whether it is a text message."""
        return isinstance(self.data, str)

    @property
    def text(self) -> str:
        """The content of a text message. TypeError when it is a binary one."""
        if not isinstance(self.data, str):
            raise TypeError(f"{self!r} is binary: `Reads(binary=False)` leaves it out")
        return self.data

    def json(self) -> Any:
        """The value that it has as JSON. ValueError when it is none."""
        return json.loads(self.data)

    def with_data(self, data: Data) -> Message:
        """A message by the same sender with other content."""
        return Message(data, self.sender)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self.sender == other.sender and self.data == other.data

    def __hash__(self) -> int:
        return hash((self.data, self.sender))

    def __repr__(self) -> str:  # for logs, which must not have what people write
        what = f"{len(self.data)} {'characters' if self.is_text else 'bytes'}"
        return f"<message of {what} from the {self.sender}>"


class Close(NamedTuple):
    """What ends a session: both sides get a Close with this code and reason (RFC 6455 §7.4).

    A hook returns it in place of a message, or behind the last one that is to go on.
    """

    code: int
    reason: str = ""


#: Codes that a Close frame may carry (RFC 6455 §7.4, and the IANA registry).
CLOSE_CODES = (range(1000, 1004), range(1007, 1015), range(3000, 5000))
#: Bytes that its reason may have: a control frame has 125, two of which are the code (§5.5).
MAX_REASON = 123


def is_close_code(code: int) -> bool:
    """Whether a Close frame may carry this code (RFC 6455 §7.4, and the IANA registry)."""
    return any(code in codes for codes in CLOSE_CODES)


@dataclass(frozen=True, slots=True)
class Reads:
    """Which messages a filter reads.

    senders   whose messages
    text      whether it reads text messages
    binary    whether it reads binary messages
    max_size  bytes that a message may have, inflated; a sender of a larger one gets Close 1009

    Where a session has several filters that read, the smallest `max_size` holds; and it holds for
    all messages of that sender.
    """

    senders: Sequence[Sender] = ("client", "backend")
    text: bool = True
    binary: bool = True
    max_size: int = MAX_SIZE


#: What `Filter.on_message` returns: the message, another one, several, a `Close`, or None to drop
#: it.
Result: TypeAlias = Message | Data | Close | Iterable["Message | Data | Close"] | None

#: The same from all filters of a session: the very message that came when nobody has changed it.
Outcome: TypeAlias = Message | Sequence[Message | Close]

#: Something at once, or something to be awaited.
MaybeLater: TypeAlias = Outcome | Awaitable[Outcome]
