"""Calling and awaiting the hooks of filters: what they raise is logged, and stays with them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from inspect import isawaitable
from time import perf_counter
from typing import Any

import anyio

from ..sessions import Session
from .blocking import Timed, tell_if_blocking
from .collector import PAUSES
from .hooksteps import HookStep
from .isolation import driven, must_go_on

log: logging.Logger = logging.getLogger("easews.pipeline")


def tell(
    session: Session, steps: Sequence[HookStep], hook: str, *news: Any
) -> Awaitable[None] | None:
    """Call a hook of these filters, which have it; what is to be awaited then, if anything is."""
    later: list[tuple[HookStep, Awaitable[object]]] = []
    for step in steps:
        called: Callable[..., object] = getattr(step.filter, hook)
        began, paused = perf_counter(), PAUSES.seconds
        try:
            result = copy_context().run(called, *news)
        except BaseException as error:
            if is_ours(error):
                raise
            log_failure(step, hook, session)
            continue
        finally:
            tell_if_blocking(began, paused, "session", session.opening.id, step.title)
        if isawaitable(result):
            later.append((step, result))
    return _all(later, session) if later else None


async def _all(later: Sequence[tuple[HookStep, Awaitable[object]]], session: Session) -> None:
    for step, awaited in later:
        await result_of(step, awaited, "a hook", session)


class Failed:
    """In place of a result that there is not."""


async def result_of(
    step: HookStep, awaited: Awaitable[object], hook: str, session: Session
) -> object:
    """What it returns, `Failed()` when it raises or takes too long. That is logged."""
    timed = Timed("session", session.opening.id, step.title)
    timeout = step.filter.hook_timeout
    try:
        with anyio.fail_after(timeout):
            return await driven(_coroutine(awaited), timed)
    except BaseException as error:
        if must_go_on(error):
            raise
        log_failure(step, hook, session)
        return Failed()


async def _coroutine(awaited: Awaitable[object]) -> object:
    return await awaited


def log_failure(step: HookStep, hook: str, session: Session) -> None:
    """Log the exception that is being handled, and count it."""
    step.counts.errors += 1
    then = f" (onError: {step.on_error})" if hook == "on_message" else ""
    log.exception("session %s: %s of %s raised%s", session.opening.id, hook, step.title, then)


def is_ours(error: BaseException) -> bool:
    """Whether what a plain function has raised is not its own. Nobody closes one that is running,
    so GeneratorExit is.
    """
    return must_go_on(error) and not isinstance(error, GeneratorExit)
