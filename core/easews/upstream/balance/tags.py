"""Which of a pool's servers are meant: those that have one of its `serverTags`.   (pure)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...filters import SpecFault

Spec = Mapping[str, Any]


def tagged(pool: Spec) -> list[Spec]:
    """The servers of a pool's spec that have one of its tags; all of them where it names none."""
    tags = frozenset(pool.get("serverTags", ()))
    servers: Sequence[Spec] = pool["servers"]
    return [one for one in servers if not tags or not tags.isdisjoint(one.get("tags", ()))]


def tag_faults(pool: Spec, at: Sequence[str | int]) -> Iterator[SpecFault]:
    """Tags that leave no server over."""
    if not any(server.get("weight", 1) for server in tagged(pool)) and pool.get("serverTags"):
        known = dict.fromkeys(tag for server in pool["servers"] for tag in server.get("tags", ()))
        yield SpecFault(
            (*at, "serverTags"),
            "no server of this pool that may be chosen has one of these tags",
            f"the tags of its servers are {', '.join(known)}" if known else "give servers tags",
        )
