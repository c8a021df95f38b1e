"""Two hosts and a cable that can be pulled out: then a peer is gone with neither FIN nor reset.
It can be a slow one, too.

The hosts are network namespaces with a pair of veth interfaces between them (Linux, as root).
A socket stays in the namespace that it was made in, whoever uses it later; so a test makes one
`inside` a host and talks through it from anywhere.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Self

_CLONE_NEWNET = 0x40000000
_numbers = count()


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace, by its name, and its address on the cable."""

    name: str
    address: str

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets and processes that this thread makes in the block are this host's."""
        with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{self.name}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def set_up(self) -> None:
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")

    def plug_in(self) -> None:
        _ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "cable")
        _ip("-n", self.name, "link", "set", "cable", "up")


class Cable:
    """Connects `near` and `far` as long as the block lasts, or until it is pulled out."""

    def __init__(self) -> None:
        name = f"easews-{os.getpid()}-{next(_numbers)}"
        # RFC 5737: addresses that are nobody's.
        self.near = Host(f"{name}-near", "198.51.100.1")
        self.far = Host(f"{name}-far", "198.51.100.2")

    def __enter__(self) -> Self:
        try:
            self.near.set_up()
            self.far.set_up()
            end = ("name", "cable", "netns")
            veth = ("type", "veth", "peer", *end, self.far.name)
            _ip("link", "add", *end, self.near.name, *veth)
            self.near.plug_in()
            self.far.plug_in()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for host in (self.near, self.far):
            if Path("/run/netns", host.name).exists():
                _ip("netns", "delete", host.name)

    def slow_down(self, rate: str) -> None:
        """What goes to the far end takes its time from now on: `rate` is as tc(8) has it."""
        queue = ("rate", rate, "burst", "10kb", "limit", "60kb")
        _run("tc", "-n", self.near.name, *["qdisc", "add", "dev", "cable", "root", "tbf"], *queue)

    def pull_out(self) -> None:
        _ip("-n", self.far.name, "link", "set", "cable", "down")


@cache
def can_be_laid() -> bool:
    """Whether this process may do all that, which only trying tells."""
    try:
        with Cable() as cable, cable.near.inside():
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@cache
def can_be_slow() -> bool:
    """Whether a cable can be slowed down here, too."""
    if not can_be_laid():
        return False
    try:
        with Cable() as cable:
            cable.slow_down("1mbit")
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _enter(namespace: int) -> None:
    """`os.setns`, which Python has from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
