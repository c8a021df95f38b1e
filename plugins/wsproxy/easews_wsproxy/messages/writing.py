"""Messages as frames (RFC 6455 §5.2): one frame for each, of the shortest length."""

from __future__ import annotations

from easews import Data

from ..relay.frames import encode_frame, new_mask
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
    return encode_frame(first, payload, new_mask() if mask else None)
