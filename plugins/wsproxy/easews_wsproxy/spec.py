"""What a JSON Schema cannot say about a WebSocketProxy's spec: fields that have to agree.

What is there but not supported yet is refused by the schema, `schemas/WebSocketProxy.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from easews import SpecFault
from easews.upstream import pool_faults

# RFC 6454 §6.2 with * and ? for any characters. Only pages of the web always have a host.
_SCHEME = r"[a-z0-9+.*?-]+://"
_HOST = r"(?:[a-z0-9._~*?-]+|\[[0-9a-f:.*?]+\])(?::[0-9*?]+)?"
_pattern = re.compile(
    rf"(?:{_SCHEME})?{_HOST}|(?!(?:http|ws)s?:){_SCHEME}", re.IGNORECASE
).fullmatch

Spec = Mapping[str, Any]
Path = tuple[str | int, ...]


def spec_faults(spec: Spec) -> Iterator[SpecFault]:
    """The faults of a spec that its schema has passed and completed."""
    for number, pool in enumerate(spec["pools"]):
        at: Path = ("pools", number)
        yield from pool_faults(pool, at)
        yield from _pattern_faults(pool["originPatterns"], (*at, "originPatterns"))


def _pattern_faults(patterns: Sequence[str], at: Path) -> Iterator[SpecFault]:
    for number, pattern in enumerate(patterns):
        if not pattern.isascii():
            yield SpecFault(
                (*at, number),
                "this pattern never matches: browsers write the names of hosts in ASCII",
                "write the name as it is in DNS, as in xn--caf-dma.example",
            )
        elif not _pattern(pattern):
            yield SpecFault(
                (*at, number),
                "this pattern never matches: an Origin is scheme://host[:port], without a path",
                "write host[:port] or scheme://host[:port], as in *.example.org, localhost:3000"
                " or https://*.example.org; file:// for pages without a host",
            )
