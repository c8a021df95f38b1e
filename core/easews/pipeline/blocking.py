"""Tells on a filter that holds the event loop: nobody else gets anything meanwhile."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from .collector import PAUSES
from .isolation import Action

log: logging.Logger = logging.getLogger("easews.pipeline")

#: Seconds for which a filter may hold the event loop before it is told on.
BLOCKING = 0.05


def tell_if_blocking(began: float, paused: float, subject: str, id: str, title: str) -> None:
    """Log it when the filter `title` has held the loop since `began`, but for what the garbage
    collector took, whose sum was `paused` then.
    """
    held = perf_counter() - began
    if held > BLOCKING and (blocked := held - PAUSES.seconds + paused) > BLOCKING:
        log.warning(
            "%s %s: %s held the event loop for %d ms: await, or use a thread",
            *(subject, id, title, blocked * 1000),
        )


@dataclass(slots=True)
class Timed:
    """Takes the steps of a filter's coroutine, one from each wait to the next. See `driven`."""

    subject: str
    id: str
    title: str

    def __call__(self, action: Action, value: Any) -> Any:
        began, paused = perf_counter(), PAUSES.seconds
        try:
            return action(value)
        except GeneratorExit as error:
            if isinstance(value, GeneratorExit):
                raise  # it was thrown in from outside, and went through
            raise RuntimeError("it raised GeneratorExit") from error
        finally:
            del value  # see `driven`
            tell_if_blocking(began, paused, self.subject, self.id, self.title)
