"""Reports to systemd, and the sockets that it has passed; see systemd.py for the words."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence

import anyio

from ..errors import ListenError
from ..server.passed import Passed
from .reloading import Reloader, Served
from .systemd import FIRST_DESCRIPTOR, SystemdEnvironment, message

log: logging.Logger = logging.getLogger("easews")

#: Seconds between two looks at whether the status is another one.
STATUS_EVERY = 10.0
#: Seconds to wait while the socket of reports is full. The event loop waits, too: without its
#: reports systemd would end the process.
_PATIENCE = 1.0


class Notifier:
    """Sends reports to whoever started the process and wants them; else nothing is sent."""

    def __init__(self, environment: SystemdEnvironment) -> None:
        self._address = environment.notify
        self._watchdog = environment.watchdog
        self._failed = False

    def ready(self, status: str) -> None:
        """All listeners serve; or again, after a reload."""
        self.send(READY=1, STATUS=status)

    def reloading(self) -> None:
        """A new config is read. `ready` has to follow."""
        self.send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def stopping(self) -> None:
        """Sessions are drained, and then the process ends."""
        self.send(STOPPING=1, STATUS="stopping")

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the process that follows this one reports to the same socket."""
        if self._address is None:
            return {}
        found = {"NOTIFY_SOCKET": self._address.replace("\0", "@", 1)}
        if self._watchdog:
            found["WATCHDOG_USEC"] = str(round(self._watchdog * 1e6))
        return found

    def leave(self) -> None:
        """Report nothing more: another process does."""
        self._address = None

    async def beat(self, status: Callable[[], str]) -> None:
        """Show that the event loop runs, and the status when it is another one, until cancelled.

        A sign of life is sent twice in the time that the watchdog allows.
        """
        if self._address is None:
            return
        every = min(STATUS_EVERY, self._watchdog / 2 if self._watchdog else STATUS_EVERY)
        alive = {"WATCHDOG": 1} if self._watchdog else {}
        before = ""
        while True:
            now = status()
            fields = alive if now == before else {**alive, "STATUS": now}
            if fields:
                self.send(**fields)
            before = now
            await anyio.sleep(every)

    def send(self, **fields: object) -> None:
        """Report these fields, whose names are those of sd_notify(3)."""
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(_PATIENCE)
                sock.sendto(message(**fields), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("systemd cannot be told %s: %s", ", ".join(fields), error)
            self._failed = True
        else:
            self._failed = False


def passed_sockets(names: Sequence[str]) -> Passed:
    """The descriptors that were passed. ListenError when one is no listening stream socket."""
    return Passed(_checked(names))


def warn_of_unused(passed: Passed) -> None:
    """Log each passed socket on which no server listens: its clients would wait for ever."""
    for name, address in passed.unused():
        log.warning(
            "the passed socket %s (%s) is used by no server: give one this address, or give the"
            " socket its name (FileDescriptorName=)",
            *(address, name or "without a name"),
        )


def _checked(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    for number, name in enumerate(names, FIRST_DESCRIPTOR):
        if not _listens(number):
            wrong = f"the passed descriptor {number} ({name}) is no listening stream socket"
            raise ListenError(f"{wrong}; a socket unit needs ListenStream=, and no Accept=yes")
        os.set_inheritable(number, False)
        yield name, number


def _listens(number: int) -> bool:
    try:
        sock = socket.socket(fileno=os.dup(number))
    except OSError:
        return False
    with sock:
        stream = sock.family in (socket.AF_INET, socket.AF_INET6) or (
            sock.family == socket.AF_UNIX and isinstance(sock.getsockname(), str)
        )
        return stream and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def status_text(served: Served) -> str:
    """What systemd shows."""
    return f"generation {served.generation}, {len(served.sessions)} open sessions"


def report_ready(served: Served, reloader: Reloader, notifier: Notifier) -> None:
    """Report that all listeners serve, and later each reload."""
    notifier.ready(status_text(served))
    reloader.on_begin.append(notifier.reloading)
    reloader.on_end.append(lambda: notifier.ready(status_text(served)))
