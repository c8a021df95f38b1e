"""When to close each of many sessions: spread over a window, so that their clients do not all
come back at once. Pure: a schedule out.
"""

from __future__ import annotations

import random
from collections.abc import Callable

#: Seconds that a stop takes for each session at most: a few of them do not need a whole window.
PER_SESSION = 0.1


def schedule(
    count: int,
    window: float,
    per_second: int = 0,
    jitter: Callable[[], float] = random.random,
) -> list[float]:
    """For each of `count` sessions, after how many seconds to close it, in ascending order.

    Each has a slot of its own in the window, and a random place in that slot: the load is even,
    and no two gateways that drain at the same time keep step. `jitter` gives numbers in [0, 1).
    With `per_second` no second has more Closes than that: if the window is too short for them,
    they take longer.
    """
    if not count:
        return []
    slot = window / count
    if per_second:
        slot = max(slot, 1 / per_second)
    times: list[float] = []
    for number in range(count):
        at = (number + jitter()) * slot
        if 0 < per_second <= number:
            at = max(at, times[number - per_second] + 1)  # still in its slot, if they are in theirs
        times.append(at)
    return times


def stop_window(count: int, window: float) -> float:
    """The window of a stop that has `count` sessions to close."""
    return min(window, count * PER_SESSION)
