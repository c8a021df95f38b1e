"""A config on its way to the workers: as bytes in memory, with the sockets of its servers."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...config.model import Config
from ...plugins import Kinds
from ..apart import packed, unpacked
from ..serving.binding import Sockets

#: Names of servers, each with how many sockets it has: in this order their descriptors come.
Layout = Sequence[tuple[str, int]]


@dataclass(slots=True, eq=False)
class Offer:
    """A config with the sockets of its servers, and the number of its generation.

    The config is written once, into a file that has no name: each worker reads it there.
    """

    config: Config
    sockets: Sockets
    generation: int
    _file: int = field(init=False)

    def __post_init__(self) -> None:
        self._file = _unnamed_file()
        with open(self._file, "wb", closefd=False) as file:
            file.write(packed(self.config))

    def message(self, servers: Iterable[str]) -> tuple[Layout, list[int]]:
        """What a worker is sent that needs the sockets of these servers: their layout, and all
        descriptors, that of the config first.
        """
        wanted = [(name, self.sockets[name]) for name in servers]
        fds = [sock.fileno() for _, socks in wanted for sock in socks]
        return [(name, len(socks)) for name, socks in wanted], [self._file, *fds]

    def __del__(self) -> None:
        os.close(self._file)


def received(layout: Layout, fds: Sequence[int], kinds: Kinds) -> tuple[Config, Sockets]:
    """The config and the sockets that came with a `message`."""
    descriptors = iter(fds)
    with open(next(descriptors), "rb") as file:
        # All who have the file share its position.
        data = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
    sockets = {name: [_socket(next(descriptors)) for _ in range(count)] for name, count in layout}
    config: Config = unpacked(data, kinds)
    return config, sockets


def _socket(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock


def _unnamed_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("easews-config")  # a config may have secrets: not on a disk
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
