"""Messages as frames (RFC 6455 §5.2): one frame for each, of the shortest length."""

from __future__ import annotations

from easews import Data

from ..relay.frames import BINARY, COMPRESSED, TEXT, encode_frame, new_mask
from .deflate import Deflater

_FINAL = 0x80


def encode_message(data: Data, mask: bool, deflater: Deflater | None = None) -> bytes:
    """The frame of a message. `mask`: it goes to a server (RFC 6455 §5.3). UnicodeEncodeError when
    a text has surrogates, which UTF-8 cannot express.
    """
    opcode, payload = (TEXT, data.encode()) if isinstance(data, str) else (BINARY, data)
    first = _FINAL | opcode
    if deflater is not None:
        first |= COMPRESSED
        payload = deflater.deflate(payload)
    return encode_frame(first, payload, new_mask() if mask else None)
