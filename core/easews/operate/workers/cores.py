"""How many cores this process may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

#: What a container may use of all cores: microseconds in each period, and its length, or `max`.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = _QUOTA) -> int:
    """The number of cores, at least 1: those that it is not kept from by its affinity or by the
    CPU quota of its container (cgroup v2).
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with suppress(OSError, ValueError):  # there is none, or it is `max`
        share, period = map(int, quota.read_text(encoding="ascii").split())
        return max(1, min(cores or 1, share // period))
    return cores or 1
