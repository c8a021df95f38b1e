"""The chunked coding (RFC 9112 §7.1), as strict as the heads are. No I/O.

The next request begins where a chunked body ends. A reader that accepts more than its neighbours
do (a bare LF, white space around a size) may see another end, which allows request smuggling.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..headers import Headers
from .faults import TOKEN, BodyError

#: What most bodies end with. Never changed.
NO_TRAILERS = Headers()

#: What ends a chunked body without trailers.
LAST_CHUNK = b"0\r\n\r\n"

# Extensions are skipped, and neither they nor trailers need to be long.
_MAX_LINE = 4096
_MAX_TRAILERS = 64

# The grammar allows white space before a semicolon, but no client sends it; h11 refuses it, too.
_size_line = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t -~\x80-\xff]*)?").fullmatch
_trailer_line = re.compile(TOKEN.encode() + rb":[\t -~\x80-\xff]*").fullmatch


def encode_chunk(data: bytes) -> bytes:
    """One chunk; b"" for no data, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def encode_last_chunk(trailers: Headers) -> bytes:
    """What ends a chunked body with these trailer fields (RFC 9112 §7.1.2)."""
    fields = [f"{name}: {value}\r\n" for _, name, value in trailers.triples]
    return f"0\r\n{''.join(fields)}\r\n".encode("latin-1")


class ChunkDecoder:
    """Removes the framing of chunks. Feed it until `done`; `held` then has the bytes behind.

    trailers  the trailer fields, once it is done
    """

    def __init__(self) -> None:
        self.done: bool = False
        self.held: bytearray = bytearray()
        self._missing = 0  # bytes of the current chunk's data
        self.trailers: Headers = NO_TRAILERS
        # Unbound, because a bound method would be a reference cycle.
        self._on_line: Callable[[ChunkDecoder, bytes], None] = ChunkDecoder._size

    def feed(self, data: bytes) -> bytes:
        """The part of the body in `data`. BodyError when it is malformed."""
        self.held += data
        body = bytearray()
        while not self.done:
            if self._missing:
                self._take(body)
            if self._missing or (line := self._next_line()) is None:
                break
            self._on_line(self, line)
        return bytes(body)

    def _take(self, body: bytearray) -> None:
        part = self.held[: self._missing]
        del self.held[: self._missing]
        self._missing -= len(part)
        body += part

    def _next_line(self) -> bytes | None:
        """The next line without its CRLF, or None when it is not complete yet."""
        end = self.held.find(b"\n", 0, _MAX_LINE)
        if end < 0:
            if len(self.held) >= _MAX_LINE:
                raise _malformed(f"a line is over {_MAX_LINE} bytes")
            return None
        line = bytes(self.held[: end + 1])
        if not line.endswith(b"\r\n"):
            raise _malformed("a line ends in a bare LF (RFC 9112 §2.2)")
        del self.held[: end + 1]
        return line[:-2]

    def _size(self, line: bytes) -> None:
        match = _size_line(line)
        if match is None:
            raise _malformed("a chunk does not begin with its size")
        self._missing = int(match[1], 16)
        self._on_line = ChunkDecoder._data_end if self._missing else ChunkDecoder._trailer

    def _data_end(self, line: bytes) -> None:
        if line:
            raise _malformed("a chunk is longer than its size says")
        self._on_line = ChunkDecoder._size

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        if len(self.trailers) >= _MAX_TRAILERS or not _trailer_line(line):
            raise _malformed("what stands behind the last chunk is no trailer field")
        name, _, value = line.decode("latin-1").partition(":")
        if self.trailers is NO_TRAILERS:
            self.trailers = Headers()
        self.trailers.extend([(name.lower(), name, value.strip(" \t"))])


def _malformed(why: str) -> BodyError:
    return BodyError(400, f"the chunked body is malformed: {why}")
