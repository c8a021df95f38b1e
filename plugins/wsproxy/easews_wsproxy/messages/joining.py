"""A message in fragments, or a compressed one that does not come at once."""

from __future__ import annotations

from codecs import getincrementaldecoder

from easews import Data

from ..relay.frames import TEXT

_Utf8Decoder = getincrementaldecoder("utf-8")


class Unfinished:
    """What has come of a message: its bytes, and what they mean."""

    __slots__ = ("_checks", "_keeps", "first", "payload", "raw")

    def __init__(self, first: int) -> None:
        self.first = first  # byte of its first frame: type, and whether it is compressed
        self.raw = bytearray()
        self.payload = bytearray()
        self._keeps = True
        self._checks = _Utf8Decoder() if first & TEXT else None

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
