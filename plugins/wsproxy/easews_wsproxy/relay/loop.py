"""The relay's descriptors and its inner loop, in Python: wait, and report each event.

The same in C (`_loop.c`) does more by itself, by what `update_interest` says of a leg:

    REPORT    nothing
    FORWARD   what it has received it sends to the other leg at once, as far as that is
              unremarkable, and only asks Python for the rest
    LOOK      the same, once Python has looked at it

The relay gets one of three calls:

    on_ready(session, leg, events)            it can be read or written; nothing was received yet
    on_bytes(session, leg, end, upto, sent)   `end` bytes are in the buffer, the first `upto` may go
                                              on, the first `sent` have gone. Of what is looked at
                                              that is nothing yet: True says that all of it may go
                                              on; what is not taken then is reported again
    on_end(session, leg)                      the stream of this leg has ended

The loop in Python makes only the first of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from easews.lowlevel import READ, TlsWire, make_poller

from .framestate import FrameState

S = TypeVar("S")
L = TypeVar("L")

REPORT, FORWARD, LOOK = range(3)

#: How many events between two looks at the clock.
CLOCK_STRIDE = 16


class Loop(Generic[S, L]):
    """A set of descriptors, itself a descriptor that is readable while one of them is ready.

    Each descriptor is a leg's. What a leg and its session are is the relay's affair.
    """

    def __init__(
        self,
        on_ready: Callable[[S, L, int], None],
        on_bytes: Callable[[S, L, int, int, int], bool],
        on_end: Callable[[S, L], None],
        buffer: bytearray,
        read_size: int,
        large_frame: int,
    ) -> None:
        """`buffer` is where bytes are received; `read_size` at once unless `large_frame` or more
        are left of a frame. (All but the first are for the compiled loop: this one only reports.)
        """
        self._on_ready = on_ready
        self._poller = make_poller()
        self._legs: dict[int, tuple[S, L]] = {}
        self._events: dict[int, int] = {}
        self._ready: list[tuple[int, int]] = []
        self._tls: dict[int, TlsWire] = {}
        self._pending: set[int] = set()  # descriptors whose TLS has bytes that no poll tells of
        self._bell = Bell()
        self._rings = self._turning = False

    def fileno(self) -> int:
        return self._poller.fileno()

    def close(self) -> None:
        """Close it; nobody may be waiting for it any more."""
        self._poller.close()
        self._bell.close()

    def set_read_size(self, read_size: int) -> None:
        """Receive so many bytes at once from now on: for the compiled loop, as above."""

    def enter(
        self,
        fd: int,
        session: S,
        leg: L,
        frames: FrameState,
        sink: int,
        tls: TlsWire | None = None,
    ) -> None:
        """Take a descriptor in, without interest in any event. What comes from it, through `tls`
        if there is one, is forwarded to the descriptor `sink`.
        """
        if fd < 0:
            raise ValueError(f"{fd} is no descriptor")
        if fd in self._legs:
            raise KeyError(f"descriptor {fd} has entered already")
        self._legs[fd] = session, leg
        self._events[fd] = 0
        if tls is not None:
            self._tls[fd] = tls

    def update_interest(self, fd: int, events: int, way: int) -> None:
        """Wait for these events. One that waits for none is not registered: a reset or ended
        peer would otherwise wake us for ever. To be called after whatever may have left bytes
        pending in TLS, too.
        """
        if events & READ and fd in self._tls and self._tls[fd].pending:
            self._note_pending(fd)
        before = self._events[fd]
        if events == before:
            return
        if not events:
            self._poller.unregister(fd)
        elif not before:
            self._poller.register(fd, events)
        else:
            self._poller.modify(fd, events)
        self._events[fd] = events

    def leave(self, fd: int) -> None:
        """Forget a descriptor, before it is closed. When somebody has closed it already, the
        kernel has forgotten it by itself.
        """
        with suppress(OSError):
            self.update_interest(fd, 0, REPORT)
        del self._legs[fd], self._events[fd]
        self._tls.pop(fd, None)
        self._pending.discard(fd)

    def _note_pending(self, fd: int) -> None:
        self._pending.add(fd)
        if not (self._turning or self._rings):  # whoever waits for us has to be told
            self._poller.register(self._bell.fileno(), READ)
            self._rings = True

    def turn(self, until: float) -> bool:
        """Report all that is ready, and then what has become ready meanwhile.

        True when nothing is left, False when the clock has reached `until`: the next turn goes
        on in the same place. A descriptor may have changed hands since its event was taken.
        That does no harm: an event is only believed when the socket says the same.
        """
        if self._rings:
            self._poller.unregister(self._bell.fileno())
            self._rings = False
        self._turning = True
        try:
            return self._turn(until)
        finally:
            self._turning = False

    def _turn(self, until: float) -> bool:
        countdown = CLOCK_STRIDE
        while True:
            if not self._ready:
                self._ready = self._take_ready()
                if not self._ready:
                    return True
            fd, events = self._ready.pop()
            entered = self._legs.get(fd)
            if entered is not None:
                self._on_ready(*entered, events)
            countdown -= 1
            if not countdown:
                if time.monotonic() >= until:
                    return False
                countdown = CLOCK_STRIDE

    def _take_ready(self) -> list[tuple[int, int]]:
        """All that is ready in one go: in smaller parts the last ones wait much longer."""
        ready = self._poller.poll(0, max(len(self._legs), 1))
        ready += [(fd, READ) for fd in self._pending]
        self._pending.clear()
        ready.reverse()
        return ready


class Bell:
    """A descriptor that is always readable. It is made when it is first asked for."""

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None

    def fileno(self) -> int:
        if self._pipe is None:
            self._pipe = os.pipe()
            os.write(self._pipe[1], b"!")
        return self._pipe[0]

    def close(self) -> None:
        for fd in self._pipe or ():
            os.close(fd)
        self._pipe = None
