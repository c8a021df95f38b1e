"""Listening sockets that the process did not bind: it was given them by whoever started it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator

from ..addresses import Address
from ..net.sockets import bound_address, configure


class Passed:
    """Their descriptors, with the names that they were passed under.

    They stay open for as long as the process. A server gets a copy, so that it may close its own:
    one that a new config removes, and a later one adds again, finds the socket still open.
    Whoever has passed it keeps it open anyway.
    """

    def __init__(self, descriptors: Iterable[tuple[str, int]] = ()) -> None:
        self._all = [(name, _address(number), number) for name, number in descriptors]
        self._used: set[Address] = set()

    def named(self, name: str) -> list[socket.socket]:
        """A copy of each socket of this name."""
        return [
            self._copy(address, number) for known, address, number in self._all if known == name
        ]

    def at(self, *addresses: Address) -> list[socket.socket]:
        """A copy of each socket that is bound to one of these addresses."""
        return [self._copy(bound, number) for _, bound, number in self._all if bound in addresses]

    def unused(self) -> Iterator[tuple[str, Address]]:
        """Name and address of each socket that no server has asked for."""
        return ((name, address) for name, address, _ in self._all if address not in self._used)

    def _copy(self, address: Address, number: int) -> socket.socket:
        self._used.add(address)
        return configure(_opened(number))  # what it accepts inherits its options


def _opened(number: int) -> socket.socket:
    return socket.socket(fileno=os.dup(number))


def _address(number: int) -> Address:
    with _opened(number) as sock:
        return bound_address(sock)


#: What a process has that was passed nothing.
NONE_PASSED: Passed = Passed()
