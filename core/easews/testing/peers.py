"""Fakes for what a filter or the server talks to, without a network.

FakeWire     a client's connection whose bytes the test writes and reads
OpenSession  an open session that records the calls of its methods
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from ..messages import Data
from ..notes import Notes
from ..sessions import Frame, Opening, Traffic


class FakeWire:
    """An `easews.lowlevel.Wire` that a test controls.

    sent    what was sent to the other end
    room    how many bytes the other end still accepts before `send` raises BlockingIOError, as
            with a full socket; None is without limit
    shut    whether `shutdown` was called
    closed  whether `close` was called

    `give`, `end` and `reset` do what the other end would. The wire can be awaited like a socket.
    """

    def __init__(self, received: bytes = b"", room: int | None = None) -> None:
        self.sent: bytearray = bytearray()
        self.room: int | None = room
        self.shut: bool = False
        self.closed: bool = False
        self._coming = bytearray()
        self._ended = False
        self._broken: OSError | None = None
        # What makes it pollable: a pair that is readable while there is something to receive.
        self._polled, self._signal = socket.socketpair()
        self._announced = False
        if received:
            self.give(received)

    def give(self, data: bytes) -> None:
        """The other end sends `data`."""
        self._coming += data
        self._announce()

    def end(self) -> None:
        """The other end will send no more (FIN)."""
        self._ended = True
        self._announce()

    def reset(self) -> None:
        """The other end is gone: every further call raises."""
        self._broken = ConnectionResetError("the other end has reset the connection")
        self._announce()

    @property
    def unread(self) -> int:
        """How many bytes were given and not received yet."""
        return len(self._coming)

    def fileno(self) -> int:
        return self._polled.fileno()

    def recv(self, size: int, /) -> bytes:
        self._check()
        data = bytes(self._coming[:size])
        del self._coming[:size]
        if not data and not self._ended:
            raise BlockingIOError
        if not self._coming and not self._ended:
            self._polled.recv(1)
            self._announced = False
        return data

    def recv_into(self, buffer: bytearray | memoryview, size: int, /) -> int:
        data = self.recv(size)
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes | bytearray | memoryview, /) -> int:
        self._check()
        count = len(data) if self.room is None else min(len(data), self.room)
        if not count and len(data):
            raise BlockingIOError
        if self.room is not None:
            self.room -= count
        self.sent += data[:count]
        return count

    def shutdown(self, how: int, /) -> None:
        self._check()
        self.shut = True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._polled.close()
            self._signal.close()

    def _check(self) -> None:
        if self.closed:
            raise OSError("the wire is closed")
        if self._broken is not None:
            raise self._broken

    def _announce(self) -> None:
        if not self.closed and not self._announced:
            self._announced = True
            self._signal.send(b"!")


class OpenSession:
    """A session that records what is asked of it.

    opening   what was known when it opened
    held      how many bytes are held for slow peers
    closes    the arguments of each call of `close`
    expiries  the arguments of each call of `expire`
    pings     how often `ping` was called
    notes     what filters keep for it
    to_client, to_backend  what was sent by `send_to_client` and `send_to_backend`
    taps      the `tell` of each tap that has not ended
    time      what `now` returns; `sleep` lets it pass

    Pass it to `Sessions.opened` and `Sessions.ended` to open and end it.
    """

    def __init__(self, opening: Opening, held: int = 0) -> None:
        self.opening: Opening = opening
        self.held: int = held
        self.closes: list[tuple[int, str]] = []
        self.expiries: list[tuple[float, int, str]] = []
        self.pings: int = 0
        self.notes: Notes = Notes()
        self.to_client: list[Data] = []
        self.to_backend: list[Data] = []
        self.taps: list[Callable[[Frame], None]] = []
        self.time: float = 0.0

    def traffic(self) -> tuple[Traffic, Traffic]:
        return Traffic(), Traffic()

    def close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))

    def expire(self, at: float, code: int, reason: str) -> None:
        self.expiries.append((at, code, reason))

    def ping(self) -> None:
        self.pings += 1

    def send_to_client(self, data: Data) -> None:
        self.to_client.append(data)

    def send_to_backend(self, data: Data) -> None:
        self.to_backend.append(data)

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def tap(self, tell: Callable[[Frame], None], payload: bool = False) -> Callable[[], None]:
        self.taps.append(tell)
        return lambda: self.taps.remove(tell)
