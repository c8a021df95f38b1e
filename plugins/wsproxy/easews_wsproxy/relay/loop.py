"""The relay's descriptors and its inner loop, in Python: wait, and attend to each event.

The same in C (`_loop.c`) does more by itself: what it has received in a direction that is
`clear` it forwards at once, as far as that is unremarkable, and only asks Python for the rest.
So `attend` is called in one of three ways:

    attend(leg, events, -1, 0, 0)          nothing was received yet
    attend(leg, events, 0, 0, 0)           the stream of this leg has ended
    attend(leg, events, end, upto, sent)   `end` bytes are in the buffer, the first `upto` may go
                                           on, `sent` of them have gone; -1: the sink has failed
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from easews.lowlevel import make_poller

from .framestate import FrameState

if TYPE_CHECKING:
    from .leg import Leg

Attend = Callable[["Leg", int, int, int, int], None]

#: How many events between two looks at the clock.
CLOCK_STRIDE = 16


class Loop:
    """A set of descriptors, itself a descriptor that is readable while one of them is ready."""

    def __init__(self, attend: Attend, buffer: bytearray, read_size: int, large: int) -> None:
        """`buffer` is where is received; `read_size` bytes at once unless `large` are left of a
        frame. (The last two are for the compiled one: here it is `attend` that receives.)
        """
        self._attend = attend
        self._poller = make_poller()
        self._legs: dict[int, Leg] = {}
        self._events: dict[int, int] = {}
        self._ready: list[tuple[int, int]] = []

    def fileno(self) -> int:
        return self._poller.fileno()

    def close(self) -> None:
        """Close it; nobody may be waiting for it any more."""
        self._poller.close()

    def set_read_size(self, read_size: int) -> None:
        """Have so many bytes received at once from now on: for the compiled one, as above."""

    def enter(self, fd: int, leg: Leg, frame_state: FrameState, sink: int) -> None:
        """Take a descriptor in, watched for nothing yet. What comes from it goes to `sink`."""
        if fd < 0:
            raise ValueError(f"{fd} is no descriptor")
        if fd in self._legs:
            raise KeyError(f"descriptor {fd} has entered already")
        self._legs[fd] = leg
        self._events[fd] = 0

    def update_interest(self, fd: int, events: int, clear: bool) -> None:
        """Wait for these events. One that waits for none is not registered: a reset or ended
        peer would otherwise wake us for ever.
        """
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
            self.update_interest(fd, 0, False)
        del self._legs[fd], self._events[fd]

    def turn(self, until: float) -> bool:
        """Attend to all that is ready, and then to what has become ready meanwhile.

        True when nothing is left, False when the clock has reached `until`: the next turn goes
        on in the same place. A descriptor may have changed hands since its event was taken.
        That does no harm: an event is only believed when the socket says the same.
        """
        countdown = CLOCK_STRIDE
        while True:
            if not self._ready:
                # All that is ready in one go: in smaller batches the last ones wait much longer.
                self._ready = self._poller.poll(0, max(len(self._legs), 1))
                if not self._ready:
                    return True
                self._ready.reverse()
            fd, events = self._ready.pop()
            leg = self._legs.get(fd)
            if leg is not None:
                self._attend(leg, events, -1, 0, 0)
            countdown -= 1
            if not countdown:
                if time.monotonic() >= until:
                    return False
                countdown = CLOCK_STRIDE
