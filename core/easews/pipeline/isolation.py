"""What a plugin raises or sets stays with the plugin.

A filter may raise anything, and a library that it calls may cancel a task of its own. None of
that may reach the task groups that everybody's connections live in, and no context variable
that is set for one client may be seen by another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from math import inf
from types import coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")
#: An action is `send` or `throw` of a coroutine.
Action = Callable[[Any], Any]
Step = Callable[[Action, Any], Any]


def must_go_on(error: BaseException) -> bool:
    """Whether `error` is not the plugin's: we are being cancelled, or somebody pressed Ctrl-C.

    To be asked where it was caught. Everything else is a fault: log it, answer, live on.
    """
    if isinstance(error, Exception):
        return False
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        return True
    return anyio.current_effective_deadline() == -inf


def isolated(running: Coroutine[Any, Any, T]) -> Awaitable[T]:
    """Await `running` in a context of its own: the variables that it sets end with it."""
    return driven(running, copy_context().run)


@coroutine
def driven(running: Coroutine[Any, Any, T], step: Step) -> Generator[Any, Any, T]:
    """Await `running`, each of its steps, from one wait to the next, by `step(action, value)`.

    That returns what ``action(value)`` does, or raises what that raises. An error that is thrown
    in comes out with a traceback that leads here, and there must be no way back from here to it:
    such a circle waits for the garbage collector.
    """
    action, value = running.send, None
    try:
        while True:
            try:
                awaited = step(action, value)
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                action, value = running.send, (yield awaited)
            except BaseException as error:  # a cancellation, on its way in
                action, value = running.throw, error
    finally:
        del value
