"""What a JSON Schema cannot say about a WebSocketProxy's spec: fields that have to agree.

What is there but not supported yet is refused by the schema, `schemas/WebSocketProxy.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from easews import OriginPatterns, SpecFault
from easews.upstream import candidate_faults, pool_faults

Spec = Mapping[str, Any]
Path = tuple[str | int, ...]


def spec_faults(spec: Spec) -> Iterator[SpecFault]:
    """The faults of a spec that its schema has passed and completed."""
    yield from candidate_faults(spec["pools"], ("pools",))
    for number, pool in enumerate(spec["pools"]):
        at: Path = ("pools", number)
        yield from pool_faults(pool, at)
        yield from _pattern_faults(pool["originPatterns"], (*at, "originPatterns"))


def _pattern_faults(patterns: Sequence[str], at: Path) -> Iterator[SpecFault]:
    for number, pattern in enumerate(patterns):
        if fault := OriginPatterns.fault(pattern):
            yield SpecFault((*at, number), *fault)
