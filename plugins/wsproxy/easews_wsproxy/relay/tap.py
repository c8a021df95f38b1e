"""The frames in what a leg sends, for taps: headers, and the beginning of each message.

A tap is shown the bytes as they were received, and keeps only the beginning of a frame. It judges
nothing: what breaks the protocol is told as it came, and ends the tap of that leg.
"""

from __future__ import annotations

import time
from codecs import getincrementaldecoder
from collections.abc import Callable

from easews import Frame, Sender

from .compiled import apply_mask
from .frames import CLOSE, COMPRESSED, PING, PONG, TEXT

#: The most payload bytes that are shown of a frame.
SHOWN_BYTES = 1024

_CONTINUATION, _OPCODES = 0x0, (0x0, 0x1, 0x2, CLOSE, PING, PONG)
_FIN, _CONTROL, _OPCODE = 0x80, 0x8, 0x0F
_Utf8Decoder = getincrementaldecoder("utf-8")


class FrameTap:
    """Calls `tell` with each frame that `sender` sends. `payload`: with the text that it begins
    with, too, where that is not compressed.
    """

    __slots__ = (
        "_begun",
        "_ended",
        "_is_text",
        "_payload",
        "_sender",
        "_skip",
        "_started",
        "_tell",
    )

    def __init__(self, sender: Sender, tell: Callable[[Frame], None], payload: bool) -> None:
        self._sender = sender
        self._tell = tell
        self._payload = payload
        self._begun = bytearray()  # the current frame: its header, and what is shown of its payload
        self._skip = 0  # bytes of the current frame that are still to come
        self._is_text = False  # the current message is text, and not compressed
        self._started = self._ended = False

    def look(self, data: memoryview, held: bytes, remaining: int) -> None:
        """`data` has come. The first time, the leg is in a frame of which so many bytes are
        `remaining`, or has sent the beginning of one, which is `held`.
        """
        if not self._started:
            self._started = True
            self._skip = remaining
            self._read(held)
        self._read(data)

    def _read(self, data: bytes | memoryview) -> None:
        pos, end = 0, len(data)
        while pos < end and not self._ended:
            if self._skip:
                count = min(self._skip, end - pos)
                self._skip -= count
                pos += count
                continue
            missing = self._needed() - len(self._begun)
            self._begun += data[pos : pos + missing]
            pos += min(missing, end - pos)
            if len(self._begun) == self._needed():
                self._frame_begun()

    def _needed(self) -> int:
        """How many bytes of the frame are needed, as far as that is known by now."""
        if len(self._begun) < 2:
            return 2
        header = _header_size(self._begun)
        if len(self._begun) < header:
            return header
        return header + min(_payload_size(self._begun), self._shown())

    def _shown(self) -> int:
        """The most payload bytes that are looked at."""
        first = self._begun[0]
        if first & _OPCODE == CLOSE:
            return 2
        return SHOWN_BYTES if self._payload and self._shows(first) else 0

    def _shows(self, first: int) -> bool:
        if first & _OPCODE == _CONTINUATION:
            return self._is_text
        return first & _OPCODE == TEXT and not first & COMPRESSED

    def _frame_begun(self) -> None:
        begun, self._begun = self._begun, bytearray()
        first, header, size = begun[0], _header_size(begun), _payload_size(begun)
        opcode, masked = first & _OPCODE, bool(begun[1] & 0x80)
        payload = bytes(begun[header:])
        if masked:
            payload = apply_mask(payload, bytes(begun[header - 4 : header]))
        self._skip = size - len(payload)
        self._ended = opcode == CLOSE or opcode not in _OPCODES
        if not opcode & _CONTROL:
            self._is_text = self._shows(first)
        shows = self._payload and not opcode & _CONTROL and self._is_text
        self._tell(
            Frame(
                at=time.time(),
                sender=self._sender,
                opcode=opcode,
                fin=bool(first & _FIN),
                size=size,
                compressed=bool(first & COMPRESSED),
                masked=masked,
                code=int.from_bytes(payload) if opcode == CLOSE and size > 1 else None,
                payload=_Utf8Decoder("replace").decode(payload) if shows else None,
            )
        )


def _header_size(begun: bytearray) -> int:
    """RFC 6455 §5.2."""
    length = begun[1] & 0x7F
    wide = 2 if length == 126 else 8 if length == 127 else 0
    return 2 + wide + (4 if begun[1] & 0x80 else 0)


def _payload_size(begun: bytearray) -> int:
    length = begun[1] & 0x7F
    if length < 126:
        return length
    return int.from_bytes(begun[2 : 4 if length == 126 else 10])
