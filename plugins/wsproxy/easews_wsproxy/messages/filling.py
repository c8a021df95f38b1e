"""A message in one frame that does not come at once: its bytes are put where they stay.

Of a large one the socket's bytes come straight into that buffer. The message is made of these at
the end, and the other leg is sent the same buffer.
"""

from __future__ import annotations

from codecs import getincrementaldecoder

from easews import Data

from ..relay.compiled import apply_mask, is_ascii, lengthen, payload_of
from ..relay.frames import TEXT
from ..relay.masking import rotate

#: How much more than has come there is room for: a header alone costs no more than this.
AHEAD = 256 * 1024

_Utf8Decoder = getincrementaldecoder("utf-8")


class FrameBegun:
    """An unfragmented, uncompressed frame of `size` bytes with its header, of which `begun` has
    come, all of the header and maybe more. `key`: its mask, b"" when it has none.

    raw   the frame, with room for what comes next
    used  how many bytes have come
    """

    __slots__ = ("_decoder", "_header", "_key", "_size", "raw", "used")

    def __init__(self, begun: memoryview, header: int, size: int, key: bytes) -> None:
        self.raw = bytearray(begun)
        self.used = header
        self._header = header
        self._size = size
        self._key = key
        self._decoder = _Utf8Decoder() if begun[0] & TEXT else None
        self.filled(len(begun) - header)

    @property
    def is_complete(self) -> bool:
        return self.used == self._size

    def room(self) -> memoryview:
        """Where the next bytes are to go: at least one, unless it is complete."""
        used = self.used
        if used == len(self.raw):
            lengthen(self.raw, min(self._size, max(4 * used, used + AHEAD)))
        return memoryview(self.raw)[used:]

    def filled(self, count: int) -> None:
        """`count` bytes have come into the room. UnicodeDecodeError when they cannot be UTF-8."""
        begin = self.used
        self.used += count
        if self._decoder is None:
            return
        with memoryview(self.raw)[begin : self.used] as piece:
            key = rotate(self._key, begin - self._header)
            if self._decoder.getstate()[0] or not is_ascii(piece, key):
                self._decoder.decode(apply_mask(piece, key) if key else piece)

    def data(self) -> Data:
        """The message, once it is complete. UnicodeDecodeError when its last character is cut."""
        with memoryview(self.raw)[self._header :] as payload:
            return payload_of(payload, self._key, self._decoder is not None)
