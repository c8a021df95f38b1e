"""What goes on to the other leg: messages in the bytes that they came in, and changed ones anew.

Bytes of one buffer that stand next to each other go on in one write, which is put off until
`flush`. Who has put some off flushes before the buffer is read into again.
"""

from __future__ import annotations

from easews import Close, Message, Outcome

from ..relay.endstates import SEALED
from ..relay.frames import COMPRESSED
from ..relay.leg import Leg
from ..relay.session import RelaySession
from .deflate import Agreed, Deflater
from .reading import Item
from .writing import encode_message


class Onward:
    """From `leg`, whose messages are read, to the other one. `agreed`: as for `read_messages`.

    recompresses  the receiver's window is no longer the sender's: compressed messages have to be
                  compressed anew, also those that nobody has changed
    """

    __slots__ = ("_agreed", "_begin", "_deflater", "_end", "_leg", "_session", "recompresses")

    def __init__(self, session: RelaySession, leg: Leg, agreed: Agreed | None) -> None:
        self._session = session
        self._leg = leg
        self._agreed = agreed
        self._deflater: Deflater | None = None
        self.recompresses = False
        self._begin = self._end = 0  # what of the buffer is put off

    def extend(self, buffer: bytearray, begin: int, end: int) -> None:
        """Have ``buffer[begin:end]`` go on as it came, with the next `flush`."""
        if self._end != begin:
            self.flush(buffer)
            self._begin = begin
        self._end = end

    def flush(self, buffer: bytearray) -> None:
        """Write what of this buffer was put off."""
        begin, end = self._begin, self._end
        if begin != end:
            self._begin = self._end = 0
            self.write(memoryview(buffer)[begin:end])

    def leave_all(self, end: int) -> bool:
        """Whether all of ``buffer[:end]`` was put off. It is then left to the caller."""
        if self._begin or self._end != end:
            return False
        self._end = 0
        return True

    def unchanged(self, buffer: bytearray, item: Item) -> None:
        """Write a message as it came, or with the same content when its bytes are no longer known
        or mean something else to the receiver.
        """
        data, begin, end, raw = item
        if data is None:
            return
        compressed = self._is_compressed(buffer, item)
        if (compressed and self.recompresses) or (raw is not None and not raw):
            self.changed(buffer, item, Message(data, self._leg.role))
        elif raw is None:
            self.extend(buffer, begin, end)
            self.flush(buffer)
        else:
            self.flush(buffer)
            if self._leg.other.sending not in SEALED:
                self._leg.other.hand_over(raw)

    def changed(self, buffer: bytearray, item: Item, outcome: Outcome) -> None:
        """Write what goes on in place of a message."""
        self.flush(buffer)
        compressed = self._agreed is not None and self._is_compressed(buffer, item)
        deflater = self._recompress() if compressed else None
        mask = self._leg.role == "client"
        for output in (outcome,) if isinstance(outcome, Message) else outcome:
            if isinstance(output, Close):
                self._session.close(*output)
                return
            try:
                self.write(encode_message(output.data, mask, deflater))
            except UnicodeEncodeError:
                self._session.fail("a filter has returned a text with surrogates")
                return

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._leg.other.sending not in SEALED:
            self._leg.other.insert(data)

    def _is_compressed(self, buffer: bytearray, item: Item) -> bool:
        """Whether a message has come compressed; also when that is not known any more."""
        _, begin, _, raw = item
        if raw is None:
            return bool(buffer[begin] & COMPRESSED)
        return not raw or bool(raw[0] & COMPRESSED)

    def _recompress(self) -> Deflater | None:
        """A compressed message was changed: what the sender compresses later may refer to it, and
        has to be compressed anew, unless the sender has agreed to forget each message.
        """
        agreed, sender = self._agreed, self._leg.role
        if agreed is None:
            return None
        if self._deflater is None:
            self._deflater = agreed.deflater(sender)
        self.recompresses = not agreed.forgets(sender)
        return self._deflater
