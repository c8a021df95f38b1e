"""What a plugin raises stays with the plugin: telling its faults from what has to go on.

A filter may raise anything, and a library that it calls may cancel a task of its own. None of
that may reach the task groups that everybody's connections live in.
"""

from __future__ import annotations

from math import inf

import anyio


def must_go_on(error: BaseException) -> bool:
    """Whether `error` is not the plugin's: we are being cancelled, or somebody pressed Ctrl-C.

    To be asked where it was caught. Everything else is a fault: log it, answer, live on.
    """
    if isinstance(error, Exception):
        return False
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        return True
    return anyio.current_effective_deadline() == -inf
