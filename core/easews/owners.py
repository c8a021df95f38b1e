"""Which filter of the config something at work belongs to. Values, no I/O.

The engine enters each filter with `OWNER` set to that filter's `Owner`. What a filter enters along
with itself, such as a pool, finds its owner there, and lists itself for as long as it is entered.
So operators can see it, and the filter has to do nothing for that.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Owner:
    """An entry of a pipeline's `filters` at work.

    pipeline  the name of its pipeline
    filter    its name in that
    holds     what it has entered along with itself and not left yet, in that order
    """

    pipeline: str
    filter: str
    holds: list[object] = field(default_factory=list)


#: The filter that is being entered; None outside of a gateway, as in a filter's own tests.
OWNER: ContextVar[Owner | None] = ContextVar("OWNER", default=None)
