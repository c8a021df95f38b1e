"""What systemd tells a service in the environment, and the words in which the service answers
(sd_listen_fds(3), sd_notify(3)). Pure: text in, values out.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

#: The number of the first descriptor that is passed.
FIRST_DESCRIPTOR = 3

_VARIABLES = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the environment says.

    notify    the address of the socket that takes reports; None: nobody wants any
    watchdog  seconds within which a sign of life has to come; None: nobody waits for one
    passed    the names of the descriptors that are passed, from `FIRST_DESCRIPTOR` on
    """

    notify: str | None = None
    watchdog: float | None = None
    passed: tuple[str, ...] = ()


def take(environment: MutableMapping[str, str], pid: int) -> Told:
    """What the environment tells the process `pid`. The variables are removed from it: processes
    that this one starts are not meant.
    """
    found = {name: environment.pop(name, "") for name in _VARIABLES}
    return Told(
        _notify_address(found["NOTIFY_SOCKET"]),
        _watchdog(found["WATCHDOG_USEC"], found["WATCHDOG_PID"], pid),
        _passed(found["LISTEN_FDS"], found["LISTEN_PID"], found["LISTEN_FDNAMES"], pid),
    )


def message(**fields: object) -> bytes:
    """A report as a datagram: a line for each field, such as ``READY=1``."""
    lines = (f"{name}={' '.join(str(value).splitlines())}" for name, value in fields.items())
    return "\n".join(lines).encode()


def _notify_address(text: str) -> str | None:
    if text.startswith("@"):  # of the abstract namespace (unix(7))
        return f"\0{text[1:]}"
    return text if text.startswith("/") else None


def _watchdog(microseconds: str, meant: str, pid: int) -> float | None:
    if meant and _number(meant) != pid:
        return None
    return _number(microseconds) / 1e6 or None


def _passed(count: str, meant: str, names: str, pid: int) -> tuple[str, ...]:
    if _number(meant) != pid:
        return ()
    known = names.split(":") if names else []
    return tuple(known[at] if at < len(known) else "" for at in range(_number(count)))


def _number(text: str) -> int:
    """0 when it is none: then it is as if nothing had been told."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
