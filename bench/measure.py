"""What a process and its children have used, read from /proc. Linux only."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU time of the processes and all their children so far, to the nanosecond.

    The scheduler brings a thread's account up to date when the thread stops running, so this
    is exact while all of them wait.
    """
    total = 0
    for pid in process_trees(roots):
        for schedstat in PROC.glob(f"{pid}/task/*/schedstat"):
            with suppress(ProcessLookupError, FileNotFoundError):  # it has ended meanwhile
                total += int(schedstat.read_text().split()[0])
    return total / 1e9


def all_cpu_seconds() -> float:
    """What everybody on this machine has used so far, in whole ticks."""
    fields = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def pss_kib(roots: Iterable[int]) -> int:
    """Proportional set size of the processes and all their children."""
    return sum(
        int(line.split()[1])
        for pid in process_trees(roots)
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )


def process_trees(roots: Iterable[int]) -> Iterator[int]:
    """The processes, their children, theirs, and so on."""
    for pid in roots:
        yield pid
        for children in PROC.glob(f"{pid}/task/*/children"):
            yield from process_trees(map(int, children.read_text().split()))


def cores() -> tuple[int, int]:
    """The core of the proxy and the core of the load. The same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    models = [
        line.partition(":")[2].strip()
        for line in (PROC / "cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
