"""Compression as the peers of a session have it, strict about what was agreed on."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from websockets.extensions import Extension
from websockets.frames import Frame, Opcode
from websockets.typing import ExtensionName

from easews import Data, Sender
from easews_wsproxy.messages.deflate import Agreed

RSV1 = 0x40
_TAIL = b"\x00\x00\xff\xff"


class Compressor:
    """Compresses the messages of one sender, and keeps to the window that it has promised."""

    def __init__(self, agreed: Agreed, sender: Sender) -> None:
        self._bits = agreed.client_bits if sender == "client" else agreed.server_bits
        self._forgets = agreed.forgets(sender)
        self._stream: Any = None

    def compress(self, data: bytes) -> bytes:
        if self._stream is None or self._forgets:
            self._stream = zlib.compressobj(wbits=-max(self._bits, 9))
        payload = b""
        if self._bits == 8:  # zlib has none: 200 bytes at a time, each by itself
            for at in range(0, len(data), 200):
                payload += self._stream.compress(data[at : at + 200])
                payload += self._stream.flush(zlib.Z_FULL_FLUSH)
        else:
            payload = self._stream.compress(data)
            payload += self._stream.flush(zlib.Z_SYNC_FLUSH)
        return payload[: -len(_TAIL)] or b"\x00"


class Decompressor:
    """Reads the messages of one sender with a window that is no larger than what was agreed on.

    zlib looks back into what it has put out in the same call, too: hence so little in each.
    """

    def __init__(self, agreed: Agreed, sender: Sender) -> None:
        self._bits = agreed.client_bits if sender == "client" else agreed.server_bits
        self._forgets = agreed.forgets(sender)
        self._stream: Any = None

    def decompress(self, payload: bytes) -> bytes:
        if self._stream is None or self._forgets:
            self._stream = zlib.decompressobj(-self._bits)
        return b"".join(self._pieces(payload + _TAIL))

    def _pieces(self, payload: bytes) -> Iterator[bytes]:
        while payload:
            yield self._stream.decompress(payload, 128)
            payload = self._stream.unconsumed_tail
        while piece := self._stream.decompress(b"", 128):
            yield piece


def compressed(data: Data, compressor: Compressor, mask: bool, fragment: int = 0) -> bytes:
    """A message, in frames with at most so many bytes of it, if that is not 0."""
    opcode, payload = (
        (Opcode.TEXT, data.encode()) if isinstance(data, str) else (Opcode.BINARY, data)
    )
    payload = compressor.compress(payload)
    frames = [
        frame.serialize(mask=mask) for frame in cut(opcode, payload, fragment or len(payload))
    ]
    sent = bytearray(b"".join(frames))
    sent[0] |= RSV1
    return bytes(sent)


def cut(opcode: Opcode, payload: bytes, size: int) -> list[Frame]:
    """A message in fragments of `size` bytes."""
    pieces = [payload[at : at + size] for at in range(0, max(len(payload), 1), size)]
    frames = [Frame(Opcode.CONT, piece, fin=False) for piece in pieces]
    frames[0].opcode, frames[-1].fin = opcode, True
    return frames


class NotesCompressed(Extension):
    """For a peer that decompresses whole messages itself: `compressed` is the last one's."""

    name = ExtensionName("permessage-deflate")
    compressed = False

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY):
            return frame
        self.compressed = frame.rsv1
        return replace(frame, rsv1=False)


# As the data of the Autobahn suite: a book, a bitmap, a PDF, JSON and HTML.

_chance = random.Random(1)
_WORDS = ["".join(_chance.choices("aeiounrstlé ", k=_chance.randint(2, 9))) for _ in range(800)]


def _book() -> str:
    return " ".join(_chance.choices(_WORDS, k=20_000))


def _bitmap() -> bytes:
    return bytes(
        (x * y >> 8) + _chance.getrandbits(3) & 0xFF for x in range(360) for y in range(360)
    )


def _json() -> str:
    return "".join(
        f'{{"id": {number}, "name": "{_chance.choice(_WORDS)}", "on": true}},\n'
        for number in range(4_000)
    )


def _html() -> str:
    return "".join(f'<li class="entry">{_chance.choice(_WORDS)}</li>\n' for _ in range(4_000))


KINDS: dict[str, Data] = {
    "book": _book().encode(),
    "bitmap": _bitmap(),
    "pdf": _chance.randbytes(90_000) + _html().encode()[:50_000],
    "json": _json(),
    "html": _html(),
}
