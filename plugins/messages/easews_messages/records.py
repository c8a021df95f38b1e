"""What is logged of a message. Pure.

Of the content nothing, unless the config asks for it: logs are kept for longer, and read by
others, than messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from easews import Data, Sender

from .changes import Mask
from .jsontext import NotJson, read, write
from .paths import JsonPath

REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class Content:
    """What is shown of a message's content: text, whether it was cut, why there is none."""

    text: str = ""
    cut: bool = False
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a message: in a line of JSON, or in a line for people."""

    session: str
    sender: Sender
    is_text: bool
    size: int
    content: Content | None

    def fields(self, time: str) -> dict[str, object]:
        """For a file of JSON lines."""
        kind = "text" if self.is_text else "binary"
        known = {"time": time, "session": self.session, "from": self.sender}
        return {**known, "type": kind, "size": self.size, **self._content()}

    def _content(self) -> dict[str, object]:
        if self.content is None:
            return {}
        if self.content.withheld:
            return {"withheld": self.content.withheld}
        return {"content": self.content.text, **({"cut": True} if self.content.cut else {})}

    def line(self) -> str:
        """For the log. Content stands there as a JSON string: no line break gets through."""
        kind = "text" if self.is_text else "binary"
        head = f"session {self.session}: {kind} from the {self.sender}, {self.size} bytes"
        if self.content is None:
            return head
        if self.content.withheld:
            return f"{head}, content withheld: it {self.content.withheld}"
        return f"{head}: {write(self.content.text)}{' (cut)' if self.content.cut else ''}"


class Redaction:
    """How the content of text messages is shown: fields redacted, and cut to `most` bytes."""

    def __init__(self, paths: Sequence[str], most: int) -> None:
        self._masks = [Mask(JsonPath(path), text=REDACTED) for path in paths]
        self._hides_all = any(mask.path.is_root for mask in self._masks)
        self._most = most

    def content(self, data: Data) -> Content:
        """What may be shown. Where fields are to be redacted, none of what is no JSON."""
        if isinstance(data, bytes):
            return Content(withheld="is binary")
        if self._hides_all:
            return Content(REDACTED)
        return self._cut(data) if not self._masks else self._redacted(data)

    def _redacted(self, text: str) -> Content:
        try:
            value = read(text)
        except NotJson as fault:
            return Content(withheld=str(fault))
        changed = [mask.apply(value) for mask in self._masks]
        return self._cut(write(value) if any(changed) else text)

    def _cut(self, text: str) -> Content:
        data = text.encode("utf-8", "replace")
        if len(data) <= self._most:
            return Content(data.decode())
        return Content(data[: self._most].decode("utf-8", "ignore"), cut=True)


def size_of(data: Data) -> int:
    """The bytes of a message's content."""
    if isinstance(data, bytes) or data.isascii():
        return len(data)
    return len(data.encode("utf-8", "surrogatepass"))
