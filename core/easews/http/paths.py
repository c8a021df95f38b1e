"""Paths for matching: decoded once, repeated slashes merged, ambiguous ones refused.

The path that is sent on keeps the client's own encoding.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

# RFC 3986 §5.2.4 removes the segments `.` and `..`. Servers differ in what they treat as one:
# Java's drop `;parameters` first, and some on Windows also separate segments by backslashes.
_dot_segment = re.compile(r"(?:\A|[/\\])\.\.?(?:[/\\;]|\Z)").search
_slashes = re.compile(r"//+")
_octet = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_stray_bytes = re.compile("[\udc80-\udcff]")


def decoded(raw: str) -> str:
    """The path `raw`, percent-decoded once. A byte that is no UTF-8 becomes one U+FFFD."""
    return _stray_bytes.sub("\ufffd", _unquoted(raw)) if "%" in raw else raw


def _unquoted(raw: str) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


def merged(path: str) -> str:
    """A decoded path with repeated slashes merged, as most servers read it."""
    return _slashes.sub("/", path) if "//" in path else path


def located(raw: str) -> tuple[str, list[int]]:
    """The path `raw` decoded and merged, and the offset in `raw` of each character and of the end.

    Repeated slashes have the offset of the first.
    """
    octets = [octet.start() for octet in _octet.finditer(raw)]
    characters: list[str] = []
    offsets: list[int] = []
    place = 0
    for character in _unquoted(raw):
        if character != "/" or characters[-1:] != ["/"]:
            characters.append(character)
            offsets.append(octets[place])
        place += len(character.encode("utf-8", "surrogateescape"))
    return _stray_bytes.sub("\ufffd", "".join(characters)), [*offsets, len(raw)]


def ambiguity(path: str) -> str:
    """The part of a decoded path that servers resolve differently; "" when there is none."""
    if "." in path and _dot_segment(path):
        return "a dot segment, `.` or `..`"
    return "a null character" if "\0" in path else ""
