"""Messages from the bytes of one direction: joined, inflated, and checked as they come.

    bytes ──▶ Reader.read ──▶ messages, pings and pongs, in order
                 │
                 └ Walker.walk: judges each frame, and counts it

A message is returned together with the bytes that it came in, so that it can go on as these when
nobody has changed it.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import TypeAlias

from easews import Data, Sender

from ..relay.compiled import apply_mask
from ..relay.frames import MESSAGE_TOO_BIG, Fault, Walker
from ..relay.masking import rotate
from .deflate import Agreed, BadData, TooBig

INVALID_DATA = 1007

_TEXT, _CONTROL, _COMPRESSED = 0x1, 0x8, 0x40

_Utf8Decoder = getincrementaldecoder("utf-8")

#: A message or a control frame, as ``(data, begin, end, raw)``. `data` is the message's, and None
#: for a ping or a pong that is to be passed on. It has come as ``buffer[begin:end]`` when `raw` is
#: None. Else `raw` has all its frames; an empty `raw` says that they took too much memory and are
#: not kept.
Item: TypeAlias = tuple[Data | None, int, int, bytearray | None]


class Reader:
    """Reads what `sender` sends. `deflate`: what was agreed on, None when nothing was. `limit`: the
    most bytes that a message may have, inflated.

    `walker` should have no limit of its own: that would be one of bytes before they are inflated.
    """

    __slots__ = ("_inflater", "_key", "_limit", "_message", "_raw_limit", "walker")

    def __init__(self, walker: Walker, sender: Sender, deflate: Agreed | None, limit: int) -> None:
        self.walker = walker
        self._inflater = (deflate or Agreed()).inflater(sender)
        self._limit = limit
        # Of tiny fragments the headers take more than the message; they are not worth keeping.
        self._raw_limit = limit + limit // 4 + 1024
        self._message: _Unfinished | None = None
        self._key = b""  # for what is still to come of the frame

    @property
    def held(self) -> int:
        """How many bytes are kept of a message that has not all come."""
        message = self._message
        return 0 if message is None else len(message.payload) + len(message.raw)

    def read(self, buffer: bytearray, start: int, end: int) -> tuple[list[Item], int]:
        """What is in ``buffer[start:end]``, and up to where that was read.

        When that is not `end`, one of three holds, as after `Walker.walk`. `walker.control`: a
        Close or a pong that is waited for stands there; act on it and read on behind it.
        `walker.fault`: what is there breaks the protocol or the limit; read no further. Neither:
        the rest is an incomplete header or control frame; present it again in front of the next
        bytes.
        """
        walker = self.walker
        walker.control = None
        items: list[Item] = []
        pos = start
        try:
            while (pos := walker.unpack(buffer, pos, end, self._limit, items)) < end:
                upto = self._read_frame(buffer, pos, end, items)
                if upto == pos:
                    break
                pos = upto
        except TooBig:
            walker.fault = Fault(MESSAGE_TOO_BIG, f"message over {self._limit} bytes")
        except BadData:
            walker.fault = Fault(INVALID_DATA, "a compressed message cannot be inflated")
        except UnicodeDecodeError:
            walker.fault = Fault(INVALID_DATA, "a text message is not UTF-8")
        return items, pos

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
        if header:
            self._check_size(buffer[pos], frame_end - pos - header)
            self._key = bytes(buffer[pos + header - 4 : pos + header]) if walker.mask_bit else b""
        payload = self._unmasked(memoryview(buffer)[pos + header : upto])
        is_over = not (walker.remaining or walker.continued)
        if is_over and self._message is None:
            items.append((self._whole(buffer[pos], payload), pos, upto, None))
        else:
            self._join(memoryview(buffer)[pos:upto], payload)
            if is_over:
                items.append(self._joined(upto))
        return upto

    def _check_size(self, first: int, size: int) -> None:
        """Refuse a message as soon as a header says that it gets too big."""
        message = self._message
        if message is not None:
            first, size = message.first, size + len(message.payload)
        if size > self._limit and not first & _COMPRESSED:
            raise TooBig

    def _unmasked(self, payload: memoryview) -> bytes | memoryview:
        if not self._key:
            return payload
        unmasked = apply_mask(payload, self._key)
        self._key = rotate(self._key, len(payload))
        return unmasked

    def _whole(self, first: int, payload: bytes | memoryview) -> Data:
        """The message of an unfragmented frame that is all there."""
        if first & _COMPRESSED:
            payload = self._inflater.inflate(payload, self._limit)
            payload += self._inflater.finish(self._limit - len(payload))
        return str(payload, "utf-8") if first & _TEXT else bytes(payload)

    def _join(self, raw: memoryview, payload: bytes | memoryview) -> None:
        """Add these bytes to the message, which begins here if none is under way."""
        message = self._message
        if message is None:
            message = self._message = _Unfinished(raw[0])
        message.keep(raw, self._raw_limit)
        if message.first & _COMPRESSED:
            payload = self._inflater.inflate(payload, self._limit - len(message.payload))
        message.add(payload)

    def _joined(self, pos: int) -> Item:
        """The message that ends in front of `pos`."""
        message = self._message
        assert message is not None
        self._message = None
        if message.first & _COMPRESSED:
            message.add(self._inflater.finish(self._limit - len(message.payload)))
        return message.data(), pos, pos, message.raw


class _Unfinished:
    """What has come of a message: its bytes, and what they mean."""

    __slots__ = ("_checks", "_keeps", "first", "payload", "raw")

    def __init__(self, first: int) -> None:
        self.first = first  # byte of its first frame: type, and whether it is compressed
        self.raw = bytearray()
        self.payload = bytearray()
        self._keeps = True
        self._checks = _Utf8Decoder() if first & _TEXT else None

    def keep(self, raw: memoryview, limit: int) -> None:
        self._keeps = self._keeps and len(self.raw) + len(raw) <= limit
        if self._keeps:
            self.raw += raw
        else:
            self.raw = bytearray()

    def add(self, payload: bytes | memoryview) -> None:
        if self._checks is not None:
            self._checks.decode(payload)
        self.payload += payload

    def data(self) -> Data:
        return bytes(self.payload) if self._checks is None else str(self.payload, "utf-8")


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
