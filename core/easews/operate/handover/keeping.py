"""Whether an upgrade has to end in the pid that it began in, and what the processes of such an
upgrade tell each other by their environment. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping

#: In a helper: the pid of the process that it serves for, until that has taken over again.
HELPS = "EASEWS_HELPS"
#: In the process that takes over again: the pids of its helpers.
HELPERS = "EASEWS_HELPERS"

#: The process that a container, or a system, ends with.
_FIRST = 1


def keeps_pid(pid: int, environment: Mapping[str, str], *, reports: bool) -> bool:
    """Whether the process `pid` has to be the last one to end although nobody has asked for it:
    a container ends with its process 1, and systemd ends a service together with the process that
    it has started, unless that `reports` which one is in charge.
    """
    if pid == _FIRST:
        return True
    if reports or "INVOCATION_ID" not in environment:
        return False
    # Newer systemd says whom it has started, so that what a service starts can tell.
    return environment.get("SYSTEMD_EXEC_PID", str(pid)) == str(pid)


def take_pids(environment: MutableMapping[str, str], name: str) -> list[int]:
    """The pids in the variable `name`, which is removed."""
    return [int(pid) for pid in environment.pop(name, "").split(",") if pid.isdecimal()]


def pids_written(pids: Iterable[int]) -> str:
    """The value of such a variable."""
    return ",".join(map(str, pids))
