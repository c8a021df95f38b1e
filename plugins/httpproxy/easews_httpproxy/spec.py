"""What a JSON Schema cannot say about a Proxy's spec: fields that have to agree.

What is there but not supported yet is refused by the schema, `schemas/Proxy.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from easews import SpecFault
from easews.upstream import candidate_faults, pool_faults


def spec_faults(spec: Mapping[str, Any]) -> Iterator[SpecFault]:
    """The faults of a spec that its schema has passed and completed."""
    yield from candidate_faults(spec["pools"], ("pools",))
    for number, pool in enumerate(spec["pools"]):
        yield from pool_faults(pool, ("pools", number))
    if spec["maxIdleConnsPerHost"] > spec["maxIdleConns"]:
        yield SpecFault(
            ("maxIdleConnsPerHost",),
            "more connections for one server than for all servers together",
            "write a number up to maxIdleConns",
        )
