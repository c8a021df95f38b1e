"""WebSocket framing as the relay needs it (RFC 6455 §5): judge headers, pass payloads by.

A `Walker` follows one direction of one session. It is shown the bytes as they arrive, says up
to where they may be forwarded, and stops where the relay has to act: at a Close, at a pong
that the relay waits for, at a fault. Payloads of data frames are never looked at.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from easews import is_close_code

from .compiled import FrameState, apply_mask

TEXT, BINARY = 0x1, 0x2
CLOSE, PING, PONG = 0x8, 0x9, 0xA
#: RSV1, by which the first frame of a message says that it is compressed (RFC 7692 §6).
COMPRESSED = 0x40

PROTOCOL_ERROR = 1002
MESSAGE_TOO_BIG = 1009

MAX_CONTROL_PAYLOAD = 125

# What a frame's first byte means, as tables of 256: one look-up judges FIN, the reserved bits,
# the opcode, and whether a continuation may come here (RFC 6455 §5.2, §5.4, §5.5).
_FORBIDDEN, _WHOLE, _PART, _CONTROL = range(4)


def _table(meanings: dict[int, int]) -> bytes:
    return bytes(meanings.get(first, _FORBIDDEN) for first in range(256))


_CONTROLS = {0x88: _CONTROL, 0x89: _CONTROL, 0x8A: _CONTROL}
_PLAIN = _table({0x81: _WHOLE, 0x82: _WHOLE, 0x01: _PART, 0x02: _PART, **_CONTROLS})
# RFC 7692 §6: RSV1 on the first frame of a message, never on a continuation.
_DEFLATE = _table(
    {first | rsv1: _WHOLE for first in (0x81, 0x82) for rsv1 in (0, 0x40)}
    | {first | rsv1: _PART for first in (0x01, 0x02) for rsv1 in (0, 0x40)}
    | _CONTROLS
)
_CONTINUED = _table({0x80: _WHOLE, 0x00: _PART, **_CONTROLS})


@dataclass(frozen=True, slots=True)
class Control:
    """A whole control frame, `size` bytes on the wire. `code` and `reason` are a Close's."""

    opcode: int
    payload: bytes
    size: int
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the session must end: the Close code and reason that the offender gets."""

    code: int
    reason: str


class Walker(FrameState):
    """Walks the frames of one direction; see `FrameState` for what it is made with."""

    __slots__ = ("control", "fault")

    def __init__(self, *, masked: bool, deflate: bool = False, limit: int = -1) -> None:
        super().__init__(masked, deflate, limit)
        self.control: Control | None = None
        self.fault: Fault | None = None

    @property
    def header_size(self) -> int:
        """How many bytes the shortest frame has (RFC 6455 §5.2)."""
        return 6 if self.mask_bit else 2

    def walk(self, data: bytes | bytearray | memoryview, start: int, end: int) -> int:
        """Judge ``data[start:end]`` and return up to where it may be forwarded.

        When that is not `end`, one of three holds. `control`: a whole control frame stands
        there; act on it and walk on behind it. `fault`: the frame there breaks the protocol;
        walk no further. Neither: the rest is an incomplete header or control frame; present
        it again in front of the next bytes.
        """
        self.control = None
        pos = self.skim(data, start, end)
        if self.remaining:
            pos += self.remaining
            if pos > end:
                self.remaining = pos - end
                return end
            self.remaining = 0
        mask_bit = self.mask_bit
        shortest = self.header_size
        opening = _DEFLATE if self.deflate else _PLAIN
        first_bytes = _CONTINUED if self.continued else opening
        while end - pos >= 2:
            meaning = first_bytes[data[pos]]
            length = data[pos + 1] ^ mask_bit
            if meaning == _FORBIDDEN or length > 127:
                return self._refuse(pos, self._why(data[pos], data[pos + 1]))
            if meaning == _CONTROL:
                if length > MAX_CONTROL_PAYLOAD:
                    return self._refuse(pos, "a control frame has more than 125 bytes")
                if end - pos < shortest + length:
                    break
                if self._stops_at(data, pos, shortest + length):
                    break
                pos += shortest + length
                continue
            header = shortest
            if length > 125:
                header += 2 if length == 126 else 8
                if end - pos < header:
                    break
                wide = length
                length = int.from_bytes(data[pos + 2 : pos + (4 if wide == 126 else 10)])
                if length < (126 if wide == 126 else 0x10000):
                    return self._refuse(pos, "the payload length is not minimally encoded")
                if length >> 63:
                    return self._refuse(pos, "the payload length has its top bit set")
            elif end - pos < header:
                break
            if self.limit >= 0 and self._exceeds(length, meaning):
                self.fault = Fault(MESSAGE_TOO_BIG, f"message over {self.limit} bytes")
                return pos
            self.frames += 1
            if meaning == _WHOLE:
                self.messages += 1
                self.continued = False
                first_bytes = opening
            else:
                self.continued = True
                first_bytes = _CONTINUED
            pos += header + length
            if pos > end:
                self.remaining = pos - end
                pos = end
        return pos

    def _stops_at(self, data: bytes | bytearray | memoryview, pos: int, size: int) -> bool:
        """Count a whole control frame; True when the relay has to act on it."""
        self.frames += 1
        opcode = data[pos] & 0x0F
        if opcode == PING:
            self.pings += 1
            return False
        self.pongs += opcode == PONG
        if opcode == PONG and not self.watch_pongs:
            return False
        payload = bytes(data[pos + 2 : pos + size])
        if self.mask_bit:
            payload = apply_mask(payload[4:], payload[:4])
        if opcode == PONG:
            self.control = Control(PONG, payload, size)
        else:
            self._judge_close(payload, size)
        return True

    def _judge_close(self, payload: bytes, size: int) -> None:
        """RFC 6455 §5.5.1 and §7.4: a code that may be sent, and a reason in UTF-8."""
        if not payload:
            self.control = Control(CLOSE, payload, size)
            return
        if len(payload) == 1:
            self.fault = Fault(PROTOCOL_ERROR, "a Close frame has a payload of one byte")
            return
        code = int.from_bytes(payload[:2])
        if not is_close_code(code):
            self.fault = Fault(PROTOCOL_ERROR, f"a Close frame has the code {code}")
            return
        try:
            reason = payload[2:].decode()
        except UnicodeDecodeError:
            self.fault = Fault(PROTOCOL_ERROR, "the reason of a Close frame is not UTF-8")
            return
        self.control = Control(CLOSE, payload, size, code, reason)

    def _exceeds(self, length: int, meaning: int) -> bool:
        """Whether the frame takes its message over the limit; fragments add up."""
        total = self.message_bytes + length
        if total > self.limit:
            return True
        self.message_bytes = 0 if meaning == _WHOLE else total
        return False

    def _refuse(self, pos: int, reason: str) -> int:
        self.fault = Fault(PROTOCOL_ERROR, reason)
        return pos

    def _why(self, first: int, second: int) -> str:
        """What is wrong with a frame that starts with these two bytes."""
        if (second ^ self.mask_bit) > 127:
            return (
                "a frame from the client is not masked"
                if self.mask_bit
                else ("a frame from the server is masked")
            )
        opcode = first & 0x0F
        if opcode not in (0x0, 0x1, 0x2, CLOSE, PING, PONG):
            return f"the opcode {opcode:#x} is reserved"
        if opcode >= CLOSE and not first & 0x80:
            return "a control frame is fragmented"
        if first & 0x30 or (first & 0x40 and not self.deflate):
            return "a reserved bit is set that no extension gave a meaning"
        if first & 0x40:
            return "RSV1 is set on a frame that does not start a message"
        if opcode == 0:
            return "a continuation frame has no message to continue"
        return "a new message starts before the last one was finished"


def encode_frame(first: int, payload: bytes, mask: bytes | None = None) -> bytes:
    """The bytes of a frame (RFC 6455 §5.2) that begins with the byte `first`. `mask`: four
    unpredictable bytes when we are the client (§5.3); `new_mask` makes some.
    """
    size, mask_bit = len(payload), 0 if mask is None else 0x80
    if size < 126:
        header = bytes((first, mask_bit | size))
    elif size < 0x10000:
        header = bytes((first, mask_bit | 126)) + size.to_bytes(2)
    else:
        header = bytes((first, mask_bit | 127)) + size.to_bytes(8)
    return header + payload if mask is None else b"".join((header, mask, apply_mask(payload, mask)))


def encode_control(opcode: int, payload: bytes = b"", mask: bytes | None = None) -> bytes:
    """A control frame's bytes; see `encode_frame`."""
    if len(payload) > MAX_CONTROL_PAYLOAD:
        raise ValueError(f"a control frame holds at most {MAX_CONTROL_PAYLOAD} bytes")
    return encode_frame(0x80 | opcode, payload, mask)


def encode_close(code: int | None, reason: str = "", mask: bytes | None = None) -> bytes:
    """A Close frame; a reason that is too long is cut at a character, surrogates become "?"."""
    if code is None:
        return encode_control(CLOSE, b"", mask)
    text = (
        reason.encode(errors="replace")[: MAX_CONTROL_PAYLOAD - 2].decode(errors="ignore").encode()
    )
    return encode_control(CLOSE, code.to_bytes(2) + text, mask)


def new_mask() -> bytes:
    return os.urandom(4)
