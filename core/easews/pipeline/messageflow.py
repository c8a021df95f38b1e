"""A message on its way past the filters that read it.

A plain function is called where it is needed, without a task. What is awaited goes on in the task
that awaits the message.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from contextvars import copy_context
from inspect import isawaitable
from time import perf_counter
from typing import cast

from ..messages import Close, MaybeLater, Message, Outcome, Reads
from ..sessions import Session
from .blocking import BLOCKING, tell_if_blocking
from .collector import PAUSES
from .hookcalls import Failed, is_ours, log_failure, result_of
from .hooksteps import HookStep
from .results import Nonsense, listed

log: logging.Logger = logging.getLogger("easews.pipeline")

#: The Close of a session when a filter has failed, unless its `onError` says otherwise.
FAILED = Close(1011, "a filter failed")


class _Dropped(set[HookStep]):
    """Which filters the log says to have dropped a message: a note of a session."""


def pass_through(steps: Sequence[HookStep], session: Session, message: Message) -> MaybeLater:
    """The message past these filters, one after the other."""
    is_text = isinstance(message.data, str)
    for at, step in enumerate(steps):
        reads = cast(Reads, step.reads)  # `sender` is among its senders
        if not (reads.text if is_text else reads.binary):
            continue
        result = _called(step, session, message)
        if result is message:
            continue
        if isawaitable(result):
            return _later(step, result, steps[at + 1 :], session, message)
        return _onward(_judged(step, session, message, result), steps[at + 1 :], session)
    return message


async def _later(
    step: HookStep,
    awaited: Awaitable[object],
    steps: Sequence[HookStep],
    session: Session,
    message: Message,
) -> Outcome:
    result = await result_of(step, awaited, "on_message", session)
    if isinstance(result, Failed):
        result = _instead(step, message)
    outcome = _onward(_judged(step, session, message, result), steps, session)
    return await outcome if isawaitable(outcome) else outcome


def _onward(
    outputs: Sequence[Message | Close], steps: Sequence[HookStep], session: Session
) -> MaybeLater:
    """What a filter has made of a message, past those behind it."""
    if len(outputs) == 1 and isinstance(output := outputs[0], Message):
        return pass_through(steps, session, output)
    if not steps or not outputs:
        return outputs
    return _each(outputs, steps, session)


async def _each(
    outputs: Sequence[Message | Close], steps: Sequence[HookStep], session: Session
) -> Outcome:
    """Several messages, past the filters behind the one that made them; a Close is the last."""
    passed: list[Message | Close] = []
    for output in outputs:
        if isinstance(output, Close):
            return [*passed, output]
        outcome = pass_through(steps, session, output)
        if isawaitable(outcome):
            outcome = await outcome
        passed += [outcome] if isinstance(outcome, Message) else outcome
        if passed and isinstance(passed[-1], Close):
            return passed
    return passed


def _called(step: HookStep, session: Session, message: Message) -> object:
    """Call the hook. What `onError` says when it raises."""
    counts = step.counts
    counts.calls += 1
    began, paused = perf_counter(), PAUSES.seconds
    try:
        return copy_context().run(step.filter.on_message, session, message)
    except BaseException as error:
        if is_ours(error):
            raise
        log_failure(step, "on_message", session)
        return _instead(step, message)
    finally:
        held = perf_counter() - began
        counts.seconds += held
        if held > BLOCKING:
            tell_if_blocking(began, paused, "session", session.opening.id, step.title)


def _judged(
    step: HookStep, session: Session, message: Message, result: object
) -> Sequence[Message | Close]:
    """A hook's result as a list. What `onError` says when it is none of what it may be."""
    try:
        outputs = listed(message, result)
    except Nonsense as error:
        step.counts.errors += 1
        what = f"on_message of {step.title} {error} (onError: {step.on_error})"
        log.error("session %s: %s", session.opening.id, what)
        outputs = listed(message, _instead(step, message))
    except BaseException as error:  # a generator's
        if is_ours(error):
            raise
        log_failure(step, "on_message", session)
        outputs = listed(message, _instead(step, message))
    if result is None:
        _tell_of_drop(step, session)
    elif outputs and isinstance(end := outputs[-1], Close):
        log.info("session %s: %s ends it with %d", session.opening.id, step.title, end.code)
    return outputs


def _tell_of_drop(step: HookStep, session: Session) -> None:
    """A `return message` that was forgotten leaves no other trace."""
    told = session.notes.get(_Dropped)
    if told is None:
        session.notes.put(told := _Dropped())
    if step not in told:
        told.add(step)
        log.info(
            "session %s: on_message of %s returned None: the message was dropped "
            "(told once a session)",
            session.opening.id,
            step.title,
        )


def _instead(step: HookStep, message: Message) -> Message | Close | tuple[()]:
    """What goes on in place of the message at which the filter has failed."""
    if step.on_error == "pass":
        return message
    return () if step.on_error == "drop" else FAILED
