"""A socket that takes the reports of a service, as systemd has one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.gateway import PATIENCE


class Reports:
    """What a service has reported to the socket at `address`, as NOTIFY_SOCKET names it."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._sock = sock
        self.address = address

    def next(self, patience: float = PATIENCE) -> dict[str, str]:
        """The next one. TimeoutError when none comes."""
        self._sock.settimeout(patience)
        text = self._sock.recv(65536).decode()
        return dict(line.split("=", 1) for line in text.split("\n"))

    def wait_for(self, name: str) -> dict[str, str]:
        """The next one that has this field."""
        while name not in (report := self.next()):
            pass
        return report

    def forget(self) -> None:
        """Drop those that have come."""
        self._sock.setblocking(False)
        try:
            while True:
                self._sock.recv(65536)
        except BlockingIOError:
            pass


@contextmanager
def notify_socket(path: str) -> Iterator[Reports]:
    """A socket at `path`, or in the abstract namespace when it begins with "@"."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path.replace("@", "\0", 1) if path.startswith("@") else path)
        yield Reports(sock, path)
