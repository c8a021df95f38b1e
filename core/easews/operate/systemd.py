"""What systemd puts into the environment of a service, and the reports that the service sends
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
class SystemdEnvironment:
    """What systemd has put into the environment.

    notify    the address of the socket for reports; None: no reports are wanted
    watchdog  seconds within which a keep-alive has to be sent; None: none is wanted
    passed    the names of the descriptors that are passed, from `FIRST_DESCRIPTOR` on
    """

    notify: str | None = None
    watchdog: float | None = None
    passed: tuple[str, ...] = ()


def take(environment: MutableMapping[str, str], pid: int) -> SystemdEnvironment:
    """What the environment has for the process `pid`. The variables are removed from it: processes
    that this one starts are not meant.
    """
    found = {name: environment.pop(name, "") for name in _VARIABLES}
    return SystemdEnvironment(
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
    """The number, or 0 for any other text, as if the variable were not set."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
