"""What a JSON Schema cannot say about a WebSocketProxy's spec: fields that have to agree.

What is there but not supported yet is refused by the schema, `schemas/WebSocketProxy.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from easews import SpecFault

Spec = Mapping[str, Any]
Path = tuple[str | int, ...]


def spec_faults(spec: Spec) -> Iterator[SpecFault]:
    """The faults of a spec that its schema has passed and completed."""
    for number, pool in enumerate(spec["pools"]):
        at: Path = ("pools", number)
        yield from _weight_faults(pool["servers"], (*at, "servers"))
        yield from _url_faults(pool["servers"], (*at, "servers"))
        yield from _pattern_faults(pool["originPatterns"], (*at, "originPatterns"))


def _weight_faults(servers: Sequence[Spec], at: Path) -> Iterator[SpecFault]:
    weights = [server.get("weight") for server in servers]
    if None in weights and any(weight is not None for weight in weights):
        for number, weight in enumerate(weights):
            if weight is None:
                yield SpecFault(
                    (*at, number),
                    "this server has no weight, but others of its pool have one",
                    "give every server of the pool a weight, or none",
                )
    elif not any(weight is None or weight > 0 for weight in weights):
        yield SpecFault(
            at,
            "every server of this pool has the weight 0, so none may be chosen",
            "give at least one server a weight above 0",
        )


def _url_faults(servers: Sequence[Spec], at: Path) -> Iterator[SpecFault]:
    for number, server in enumerate(servers):
        if "?" in server["url"]:
            yield SpecFault(
                (*at, number, "url"),
                "its query would never be sent: a session's query is the client's",
                "write the URL without its query",
            )


def _pattern_faults(patterns: Sequence[str], at: Path) -> Iterator[SpecFault]:
    for number, pattern in enumerate(patterns):
        if "/" in pattern:
            yield SpecFault(
                (*at, number),
                "a pattern with a / never matches: it is compared with the host[:port] of Origin",
                "write it without scheme and path, as in *.example.org or localhost:3000",
            )
