"""Listening sockets of the process that this one follows."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable

from ..addresses import Address
from .binding import UnixListener
from .passed import Passed


class HandedOver(Passed):
    """Whoever takes a copy owns it: with the file of a unix socket, if its descriptor is among
    `with_file`. What nobody takes is closed by `close`.
    """

    def __init__(
        self, descriptors: Iterable[tuple[str, int]] = (), with_file: Collection[int] = ()
    ) -> None:
        super().__init__(descriptors)
        self._with_file = with_file

    def _copy(self, address: Address, number: int) -> socket.socket:
        if number not in self._with_file:
            return super()._copy(address, number)
        self._used.add(address)
        return UnixListener.taken_over(os.dup(number))

    def close(self) -> None:
        """Close what was handed over; copies stay open."""
        for _, _, number in self._all:
            os.close(number)
        self._all.clear()
