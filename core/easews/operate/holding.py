"""Signals that are held back until somebody can act on them: by default they would end the process.

A signal that comes while it is held back is there as soon as it is let through.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

#: Those that a start holds back: `easews_command` does, before it imports anything else.
HELD = (signal.SIGHUP, signal.SIGUSR2)


@contextmanager
def holding(*numbers: signal.Signals) -> Iterator[None]:
    """Hold these back while the block runs, and for good in the programs that it starts: a mask is
    inherited, and counts before a program can say anything.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_through(numbers: Iterable[signal.Signals] = HELD) -> None:
    """Have what a start, or the program before, holds back come. Call it once somebody listens."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
