"""Binding: the listening sockets of a server, on the addresses that its config says."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from typing import Any

from ..addresses import UNIX, Address
from ..config.model import ServerSpec
from ..errors import ListenError
from ..net.sockets import configure
from .passed import NONE_PASSED, Passed

_BACKLOG = 1024

_REMEDIES = {
    errno.EADDRINUSE: "another process listens there; stop it, or choose another port",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one",
    errno.EADDRNOTAVAIL: "it is no address of this machine; leave address out for all that are",
    socket.EAI_NONAME: "write an IP, or a name that this machine can look up",
}
_UNIX_REMEDIES = {
    errno.EADDRINUSE: "another process listens there; stop it, or choose another path",
    errno.EEXIST: "a file that is no socket is there; remove it, or choose another path",
    errno.EACCES: "this user may not write in its folder; choose another one",
    errno.ENOENT: "its folder does not exist; make it, or choose another one",
}


def bind(spec: ServerSpec, passed: Passed = NONE_PASSED) -> list[socket.socket]:
    """The listening sockets of a server: those that were passed under its name or are bound to its
    address, and else new ones. ListenError when one cannot be had.
    """
    if named := passed.named(spec.name):
        return named
    socks: list[socket.socket] = []
    try:
        if spec.address.startswith(UNIX):
            return passed.at(Address(spec.address)) or [
                UnixListener(spec.address.removeprefix(UNIX), spec.socket_mode)
            ]
        if not spec.address and socket.has_dualstack_ipv6():
            every = (Address("::", spec.port), Address("0.0.0.0", spec.port))
            return passed.at(*every) or [_listen(socket.AF_INET6, every[0], dual=True)]
        found = socket.getaddrinfo(
            spec.address or "0.0.0.0", spec.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            socks += passed.at(Address(*address[:2])) or [_listen(family, address)]
    except OSError as error:
        for sock in socks:
            sock.close()
        raise _cannot_listen(spec, error) from None
    return socks


class UnixListener(socket.socket):
    """A listening socket at `path`, whose file has the permissions `mode`.

    The file of a process that has died is replaced. It is removed when this socket is closed,
    unless it is another one by then. OSError when it cannot be had.
    """

    def __init__(self, path: str, mode: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._file: tuple[int, int] | None = None
        try:
            self.setblocking(False)
            self._bind(path, mode)
            self._file = _identity(path)
            self.listen(_BACKLOG)
        except BaseException:
            self.close()
            raise

    @classmethod
    def taken_over(cls, descriptor: int) -> UnixListener:
        """One that another process has bound. The file is that process's until `own_file`."""
        sock = cls.__new__(cls)
        socket.socket.__init__(sock, fileno=descriptor)
        sock.setblocking(False)
        sock._file = None
        return sock

    @property
    def owns_file(self) -> bool:
        """Whether the file is removed when this socket is closed."""
        return self._file is not None

    def own_file(self) -> None:
        """The file is removed from now on when this socket is closed. It may be closed already."""
        if self.fileno() >= 0:
            self._file = _identity(self.getsockname())

    def leave_file(self) -> None:
        """The file is another process's: it stays when this socket is closed."""
        self._file = None

    def set_mode(self, mode: int) -> None:
        """Give the file other permissions."""
        if _identity(path := self.getsockname()) == self._file:
            os.chmod(path, mode)

    def close(self) -> None:
        if self._file is not None:
            path = self.getsockname()
            if _identity(path) == self._file:
                os.unlink(path)
            self._file = None
        super().close()

    def _bind(self, path: str, mode: int) -> None:
        before = os.umask(0o777 & ~mode)  # the file must not be open to others even for a moment
        try:
            self.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_dead(path):
                raise
            os.unlink(path)
            self.bind(path)
        finally:
            os.umask(before)


def _identity(path: str) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(path)
        return found.st_dev, found.st_ino
    return None


def _is_dead(path: str) -> bool:
    """Whether the socket at `path` is one that nobody listens on. OSError when it is no socket."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):  # a link is none, wherever it leads
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a queue that is full is somebody's, too
        return probe.connect_ex(path) == errno.ECONNREFUSED


def _listen(family: int, address: Any, dual: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        configure(sock)  # accepted sockets inherit TCP_NODELAY
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _cannot_listen(spec: ServerSpec, error: OSError) -> ListenError:
    is_unix = spec.address.startswith(UNIX)
    where = Address(spec.address or "*", spec.port)
    reason = error.strerror or str(error)
    remedy = (_UNIX_REMEDIES if is_unix else _REMEDIES).get(error.errno or 0)
    place = f"{spec.place}: " if spec.place else ""
    text = f"{place}{spec.name} cannot listen on {where}: {reason}"
    return ListenError(f"{text}; {remedy}" if remedy else text)
