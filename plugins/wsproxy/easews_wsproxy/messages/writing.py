"""Messages as frames (RFC 6455 §5.2): one frame for each, of the shortest length."""

from __future__ import annotations

from easews import Data

from ..relay.compiled import apply_mask
from ..relay.frames import new_mask
from .deflate import Deflater

_TEXT, _BINARY, _COMPRESSED = 0x81, 0x82, 0x40


def encode_message(data: Data, mask: bool, deflater: Deflater | None = None) -> bytes:
    """The frame of a message. `mask`: it goes to a server (RFC 6455 §5.3). UnicodeEncodeError when
    a text has surrogates, which UTF-8 cannot express.
    """
    first, payload = (_TEXT, data.encode()) if isinstance(data, str) else (_BINARY, data)
    if deflater is not None:
        first |= _COMPRESSED
        payload = deflater.deflate(payload)
    if not mask:
        return _header(first, 0, len(payload)) + payload
    key = new_mask()
    return b"".join((_header(first, 0x80, len(payload)), key, apply_mask(payload, key)))


def _header(first: int, mask_bit: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, mask_bit | size))
    if size < 0x10000:
        return bytes((first, mask_bit | 126)) + size.to_bytes(2)
    return bytes((first, mask_bit | 127)) + size.to_bytes(8)
