"""permessage-deflate on zlib: messages are inflated and deflated one by one (RFC 7692 §7).

zlib's streams are made when they are first needed. Between two messages of a direction with
context takeover, one to inflate keeps about 40 KiB, one to deflate about 55 KiB; without it,
nothing is kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from easews import Sender

from ..handshake.extensions import CLIENT_BITS, CLIENT_FORGETS, SERVER_BITS, SERVER_FORGETS

if TYPE_CHECKING:
    from zlib import _Compress, _Decompress

# What a sender leaves out at the end of a message (RFC 7692 §7.2.1).
_TAIL = b"\x00\x00\xff\xff"
# A sender may end a stream and start another inside a message (RFC 7692 §7.2.3.4). Each one costs
# us memory and time, and takes two bytes.
_MAX_STREAMS = 64

# On JSON of 4 KiB, level 1 saves 74 % and takes 27 µs; level 6 with all the memory that it may use
# saves 78 % and takes 69 µs. A window of 8 KiB and a small hash table cost no more than a percent
# against the largest ones, and make a stream of 52 instead of 268 KiB.
_LEVEL = 1
_MAX_BITS = 13
_MEM_LEVEL = 5


class TooBig(Exception):
    """A message is over its limit."""


class BadData(Exception):
    """A compressed message is not valid deflate data."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What client and server have agreed on.

    client_bits, server_bits      the base-2 logarithm of the window that the sender keeps to: 8-15
    client_forgets, server_forgets  whether it compresses each message by itself
    """

    client_bits: int = 15
    server_bits: int = 15
    client_forgets: bool = False
    server_forgets: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Agreed:
        """From `handshake.extensions.agreed_parameters`."""
        return cls(
            int(parameters.get(CLIENT_BITS, 15)),
            int(parameters.get(SERVER_BITS, 15)),
            CLIENT_FORGETS in parameters,
            SERVER_FORGETS in parameters,
        )

    def forgets(self, sender: Sender) -> bool:
        """Whether each message of `sender` is compressed by itself."""
        return self.client_forgets if sender == "client" else self.server_forgets

    def inflater(self, sender: Sender) -> Inflater:
        """For the messages that come from `sender`."""
        return Inflater(self.forgets(sender))

    def deflater(self, sender: Sender) -> Deflater | None:
        """For messages that are sent on in the name of `sender`. None when zlib has no window as
        small as agreed: they are then sent uncompressed.
        """
        bits = self.client_bits if sender == "client" else self.server_bits
        return Deflater(bits, self.forgets(sender)) if bits > 8 else None


class Inflater:
    """Inflates the compressed messages of one direction, and has to be given all of them."""

    __slots__ = ("_forgets", "_stream", "_streams")

    def __init__(self, forgets: bool) -> None:
        self._forgets = forgets
        self._stream: _Decompress | None = None
        self._streams = 0  # of the message so far

    def inflate(self, data: bytes | bytearray | memoryview, room: int) -> bytes:
        """The next piece of a message. Raises TooBig when it has more than `room` bytes, of which
        one more than these is made at most; BadData.
        """
        inflated = b""
        while True:
            stream = self._stream
            if stream is None or stream.eof:  # then it would return nothing, and raise nothing
                stream = self._new_stream()
            try:
                # 0 would be no limit. When it makes less than it may, it has read all.
                inflated += stream.decompress(data, room + 1 - len(inflated))
            except zlib.error as error:
                raise BadData from error
            if len(inflated) > room:
                raise TooBig
            data = stream.unused_data
            if not data:
                return inflated

    def finish(self, room: int) -> bytes:
        """What is left of a message once all its pieces were inflated; raises the same."""
        inflated = self.inflate(_TAIL, room)
        self._streams = 0
        if self._forgets:
            self._stream = None
        return inflated

    def _new_stream(self) -> _Decompress:
        self._streams += 1
        if self._streams > _MAX_STREAMS:
            raise BadData
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return self._stream


class Deflater:
    """Deflates messages for one direction. `bits`: 9-15, the window that the receiver has."""

    __slots__ = ("_bits", "_forgets", "_stream")

    def __init__(self, bits: int, forgets: bool) -> None:
        self._bits = min(bits, _MAX_BITS)
        self._forgets = forgets
        self._stream: _Compress | None = None

    def deflate(self, data: bytes) -> bytes:
        """A whole message's payload."""
        stream = self._stream
        if stream is None:
            stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -self._bits, _MEM_LEVEL)
            self._stream = None if self._forgets else stream
        deflated = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
        return deflated[: -len(_TAIL)]
