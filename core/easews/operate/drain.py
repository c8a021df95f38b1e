"""When to close each of many sessions: spread over a window, so that their clients do not all
come back at once. Pure: a schedule out.
"""

from __future__ import annotations

import random
from collections.abc import Callable


def schedule(count: int, window: float, jitter: Callable[[], float] = random.random) -> list[float]:
    """For each of `count` sessions, after how many seconds to close it, in ascending order.

    Each has a slot of its own in the window, and a random place in that slot: the load is even,
    and no two gateways that drain at the same time keep step. `jitter` gives numbers in [0, 1).
    """
    return [(number + jitter()) * window / count for number in range(count)]
