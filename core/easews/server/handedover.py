"""Listening sockets of the process that this one follows."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable

from ..addresses import Address
from .binding import UnixListener
from .passed import Passed


class HandedOver(Passed):
    """Whoever takes a copy owns it. What nobody takes is closed by `close`.

    The files of unix sockets, whose descriptors are `with_file`, are still the other process's,
    which may go on. Call `own_files` when it does not.
    """

    def __init__(
        self, descriptors: Iterable[tuple[str, int]] = (), with_file: Collection[int] = ()
    ) -> None:
        super().__init__(descriptors)
        self._with_file = with_file
        self._copies_with_file: list[UnixListener] = []

    def _copy(self, address: Address, number: int) -> socket.socket:
        if number not in self._with_file:
            return super()._copy(address, number)
        self._used.add(address)
        self._copies_with_file.append(UnixListener.taken_over(os.dup(number)))
        return self._copies_with_file[-1]

    def own_files(self) -> None:
        """The files of unix sockets are this process's from now on."""
        for sock in self._copies_with_file:
            sock.own_file()
        self._copies_with_file.clear()

    def close(self) -> None:
        """Close what was handed over; copies stay open."""
        for _, _, number in self._all:
            os.close(number)
        self._all.clear()
