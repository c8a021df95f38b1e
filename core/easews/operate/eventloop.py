"""The event loop of each process of ours, and the exit status that comes of it."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import anyio

from ..errors import EasewsError
from ..observe.logs import end_process
from .handover.inplace import BECOMES_NEW

log: logging.Logger = logging.getLogger("easews")

#: What there is to run on: the arguments that `anyio.run` gets.
BACKENDS: Mapping[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio", "backend_options": {"use_uvloop": False}},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}

#: Exit statuses. 2 is a wrong command line's.
ENDED, FAILED, CUT = 0, 1, 3


def run_loop(main: Callable[..., Coroutine[Any, Any, int]], *args: Any, backend: str) -> int:
    """Run `main`, which returns the exit status of this process, and log what it raises, but for an
    EasewsError: that is the caller's to tell.
    """
    try:
        status = anyio.run(main, *args, **BACKENDS[backend])
        if status != BECOMES_NEW:
            _leave_threads_behind(status)
    except EasewsError:
        raise
    except KeyboardInterrupt:
        return ENDED  # before or after the time in which we listen for it
    except Exception:
        log.critical("easews has to stop", exc_info=True)
        return FAILED
    return status


def _leave_threads_behind(status: int) -> None:
    """A look-up of a name cannot be cancelled, and Python would wait for its thread."""
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    if others != [threading.main_thread()]:
        end_process(status)


def collect_garbage_less_often() -> None:
    """What is loaded by now stays, and an open session is hardly ever garbage; looking through
    them all for every few hundred new objects would take a sixth of the time of a handshake.

    A new config has some 100,000 objects. The middle generation is looked through early, so that
    it never has all of them: that would hold the event loop for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 1, 4_000)
