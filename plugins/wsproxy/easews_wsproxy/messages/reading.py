"""Messages from the bytes of one direction: joined, inflated, and checked as they come.

    bytes ──▶ Reader.read ──▶ messages, pings and pongs, in order
                 │
                 └ Walker.walk: judges each frame, and counts it

A message is returned together with the bytes that it came in, so that it can go on as these when
nobody has changed it.
"""

from __future__ import annotations

from typing import TypeAlias

from easews import Data, Sender

from ..relay.compiled import apply_mask, payload_of
from ..relay.frames import COMPRESSED, MESSAGE_TOO_BIG, TEXT, Fault, Walker
from ..relay.masking import rotate
from .deflate import Agreed, BadData, TooBig
from .filling import FrameBegun
from .joining import Unfinished

INVALID_DATA = 1007

#: Once so much was inflated, the rest of what was read has to wait until that has gone on: a
#: kilobyte may become a megabyte, and a filter take its time.
INFLATED_BYTES = 1024 * 1024

_CONTROL, _FINAL = 0x8, 0x80
_OPCODE = 0x0F

#: A message or a control frame, as ``(data, begin, end, raw)``. `data` is the message's, and None
#: for a ping or a pong that is to be passed on. It has come as ``buffer[begin:end]`` when `raw` is
#: None. Else `raw` has all its frames; an empty `raw` says that they took too much memory and are
#: not kept.
Item: TypeAlias = tuple[Data | None, int, int, bytearray | None]


class Reader:
    """Reads what `sender` sends. `deflate`: what was agreed on, None when nothing was. `limit`: the
    most bytes that a message may have, inflated.

    `walker` should have no limit of its own: that would be one of bytes before they are inflated.
    `begun` is a message of which the one frame has begun. When much of it is still to come, who
    receives may have that put into its room, and then call `fill` in place of `read`.
    """

    __slots__ = (
        "_inflated",
        "_inflater",
        "_key",
        "_limit",
        "_message",
        "_raw_limit",
        "begun",
        "walker",
    )

    def __init__(self, walker: Walker, sender: Sender, deflate: Agreed | None, limit: int) -> None:
        self.walker = walker
        self._inflater = (deflate or Agreed()).inflater(sender)
        self._inflated = 0  # bytes that the last `read` has made
        self._limit = limit
        # Of tiny fragments the headers take more than the message; they are not worth keeping.
        self._raw_limit = limit + limit // 4 + 1024
        self._message: Unfinished | None = None
        self.begun: FrameBegun | None = None
        self._key = b""  # for what is still to come of the frame

    @property
    def held(self) -> int:
        """How many bytes are kept of a message that has not all come."""
        if self.begun is not None:
            return len(self.begun.raw)
        message = self._message
        return 0 if message is None else len(message.payload) + len(message.raw)

    @property
    def is_full(self) -> bool:
        """Whether the last `read` has stopped because it has inflated so much."""
        return self._inflated >= INFLATED_BYTES

    def read(self, buffer: bytearray, start: int, end: int) -> tuple[list[Item], int]:
        """What is in ``buffer[start:end]``, and up to where that was read.

        When that is not `end`, one of three holds, as after `Walker.walk`. `walker.control`: a
        Close or a pong that is waited for stands there; act on it and read on behind it.
        `walker.fault`: what is there breaks the protocol or the limit; read no further. Neither:
        the rest is an incomplete header or control frame; present it again in front of the next
        bytes, unless it `is_full`: then read on there.
        """
        walker = self.walker
        walker.control = None
        self._inflated = 0
        items: list[Item] = []
        pos = start
        try:
            while (pos := walker.unpack(buffer, pos, end, self._limit, items)) < end:
                if self.is_full:
                    break
                upto = self._read_frame(buffer, pos, end, items)
                if upto == pos:
                    break
                pos = upto
        except (TooBig, BadData, UnicodeDecodeError) as error:
            walker.fault = self._fault_of(error)
        return items, pos

    def fill(self, begun: FrameBegun, count: int) -> list[Item]:
        """`count` bytes have come into the room of `begun`. The message, once it is complete; or
        there is `walker.fault`.
        """
        items: list[Item] = []
        self.walker.control = None
        self.walker.remaining -= count
        try:
            self._fill(begun, count, 0, items)
        except UnicodeDecodeError as error:
            self.walker.fault = self._fault_of(error)
        return items

    def _fault_of(self, error: Exception) -> Fault:
        if isinstance(error, TooBig):
            return Fault(MESSAGE_TOO_BIG, f"message over {self._limit} bytes")
        if isinstance(error, BadData):
            return Fault(INVALID_DATA, "a compressed message cannot be inflated")
        return Fault(INVALID_DATA, "a text message is not UTF-8")

    def _read_frame(self, buffer: bytearray, pos: int, end: int, items: list[Item]) -> int:
        """Read a frame, or what is there of it. Returns up to where, `pos` when that is nowhere."""
        walker = self.walker
        if walker.remaining:
            header, frame_end = 0, pos + walker.remaining
        else:
            header, frame_end = _extent(buffer, pos, end, walker.mask_bit)
        upto = walker.walk(buffer, pos, min(frame_end, end))
        if upto == pos:
            return pos
        if header and buffer[pos] & _CONTROL:
            items.append((None, pos, upto, None))
            return upto
        if self.begun is not None:
            self._copy(self.begun, memoryview(buffer)[pos:upto], upto, items)
            return upto
        if header:
            self._check_size(buffer[pos], frame_end - pos - header)
            self._key = bytes(buffer[pos + header - 4 : pos + header]) if walker.mask_bit else b""
            if walker.remaining and _is_single(buffer[pos]):
                came = memoryview(buffer)[pos:upto]
                self.begun = FrameBegun(came, header, frame_end - pos, self._key)
                return upto
        payload = memoryview(buffer)[pos + header : upto]
        is_over = not (walker.remaining or walker.continued)
        if is_over and self._message is None:
            items.append((self._whole(buffer[pos], payload), pos, upto, None))
        else:
            self._join(memoryview(buffer)[pos:upto], self._unmasked(payload))
            if is_over:
                items.append(self._joined(upto))
        return upto

    def _copy(self, begun: FrameBegun, part: memoryview, pos: int, items: list[Item]) -> None:
        """What has come of it somewhere else."""
        while part and self.begun is not None:
            with begun.room() as room:
                count = min(len(part), len(room))
                room[:count] = part[:count]
            self._fill(begun, count, pos, items)
            part = part[count:]

    def _fill(self, begun: FrameBegun, count: int, pos: int, items: list[Item]) -> None:
        begun.filled(count)
        if begun.is_complete:
            self.begun = None
            items.append((begun.data(), pos, pos, begun.raw))

    def _check_size(self, first: int, size: int) -> None:
        """Refuse a message as soon as a header says that it gets too big."""
        message = self._message
        if message is not None:
            first, size = message.first, size + len(message.payload)
        if size > self._limit and not first & COMPRESSED:
            raise TooBig

    def _unmasked(self, payload: memoryview) -> bytes | memoryview:
        if not self._key:
            return payload
        unmasked = apply_mask(payload, self._key)
        self._key = rotate(self._key, len(payload))
        return unmasked

    def _whole(self, first: int, payload: memoryview) -> Data:
        """The message of an unfragmented frame that is all there."""
        if not first & COMPRESSED:
            return payload_of(payload, self._key, bool(first & TEXT))
        inflater = self._inflater
        inflated = inflater.inflate(self._unmasked(payload), self._limit)
        inflated += inflater.finish(self._limit - len(inflated))
        self._inflated += len(inflated)
        return str(inflated, "utf-8") if first & TEXT else inflated

    def _join(self, raw: memoryview, payload: bytes | memoryview) -> None:
        """Add these bytes to the message, which begins here if none is under way."""
        message = self._message
        if message is None:
            message = self._message = Unfinished(raw[0])
        message.keep(raw, self._raw_limit)
        if message.first & COMPRESSED:
            payload = self._inflater.inflate(payload, self._limit - len(message.payload))
        message.add(payload)

    def _joined(self, pos: int) -> Item:
        """The message that ends in front of `pos`."""
        message = self._message
        assert message is not None
        self._message = None
        if message.first & COMPRESSED:
            message.add(self._inflater.finish(self._limit - len(message.payload)))
            self._inflated += len(message.payload)
        return message.data(), pos, pos, message.raw


def _is_single(first: int) -> bool:
    """Whether a message begins and ends in this frame, and is not compressed."""
    return bool(first & _FINAL and first & _OPCODE) and not first & COMPRESSED


def _extent(buffer: bytearray, pos: int, end: int, mask_bit: int) -> tuple[int, int]:
    """The length of the header of the frame at `pos`, and where the frame ends. While they are not
    known, that is `end`: the walker judges what is there.
    """
    header = 6 if mask_bit else 2
    if end - pos < header:
        return header, end
    length = buffer[pos + 1] & 0x7F
    if length < 126:
        return header, pos + header + length
    wide = 2 if length == 126 else 8
    if end - pos < header + wide:
        return header, end
    length = int.from_bytes(buffer[pos + 2 : pos + 2 + wide])
    return header + wide, pos + header + wide + length
