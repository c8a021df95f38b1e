"""A pollable set of sockets: epoll on Linux, kqueue elsewhere.

A poller has a file descriptor of its own, which is readable while any of its sockets has an
event. So one task can wait for all of them, on any event loop.
"""

from __future__ import annotations

import select
import selectors
import sys
from typing import Protocol

#: Event masks, those of epoll.
READ = 1
WRITE = 4


class Poller(Protocol):
    """The part of `select.epoll` that works on every system; event masks are READ | WRITE."""

    def fileno(self) -> int: ...
    def register(self, fd: int, eventmask: int, /) -> None: ...
    def modify(self, fd: int, eventmask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class SelectorPoller:
    """The same on the selectors module, for systems without epoll."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selector or selectors.DefaultSelector()

    def fileno(self) -> int:
        descriptor: int = self._selector.fileno()  # type: ignore[attr-defined]  # kqueue has it
        return descriptor

    def register(self, fd: int, eventmask: int, /) -> None:
        self._selector.register(fd, _selector_mask(eventmask))

    def modify(self, fd: int, eventmask: int, /) -> None:
        self._selector.modify(fd, _selector_mask(eventmask))

    def unregister(self, fd: int, /) -> None:
        self._selector.unregister(fd)

    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]:
        ready = self._selector.select(timeout)
        return [(key.fd, _poll_mask(events)) for key, events in ready]

    def close(self) -> None:
        self._selector.close()


def _selector_mask(eventmask: int) -> int:
    read = selectors.EVENT_READ if eventmask & READ else 0
    return read | (selectors.EVENT_WRITE if eventmask & WRITE else 0)


def _poll_mask(events: int) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (
        WRITE if events & selectors.EVENT_WRITE else 0
    )


def make_poller() -> Poller:
    """The best poller of this system."""
    if sys.platform == "linux":
        return select.epoll()
    return SelectorPoller()
