"""Which pools are at work, and whose they are. Values, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..owners import Owner
from .pool import Pool


@dataclass(frozen=True, slots=True)
class RunningPool:
    """A pool that its filter has entered.

    pipeline  the name of the filter's pipeline
    filter    the filter's name in that
    index     which of the filter's pools it is: 0 for the first
    pool      the pool
    """

    pipeline: str
    filter: str
    index: int
    pool: Pool


def running_pools(owners: Iterable[Owner]) -> list[RunningPool]:
    """The pools of these filters (`Gateway.owners`), in the order of `owners`."""
    return [
        RunningPool(owner.pipeline, owner.filter, index, pool)
        for owner in owners
        for index, pool in enumerate(held for held in owner.holds if isinstance(held, Pool))
    ]
