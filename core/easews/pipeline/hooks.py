"""What filters do with the sessions and messages that pass them.

    handshake ──▶ A, B        the filters that it has passed, in the order of the flow
    client's message ──▶ A ──▶ B ──▶ backend
    backend's message ──▶ B ──▶ A ──▶ client

A plain function is called where it is needed, without a task. Whatever a hook raises or returns,
the others go on: see `Filter.on_message`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from inspect import isawaitable
from math import inf
from time import perf_counter
from typing import Any, cast

import anyio

from ..filters import Filter, overrides
from ..messages import Close, MaybeLater, Message, Outcome, Reads, Sender
from ..sessions import Ending, Session
from .blocking import BLOCKING, Timed, tell_if_blocking
from .collector import PAUSES
from .isolation import driven, must_go_on
from .results import Nonsense, listed

log: logging.Logger = logging.getLogger("easews.pipeline")

#: The Close of a session when a filter has failed, unless its `onError` says otherwise.
FAILED = Close(1011, "a filter failed")
_SESSION_HOOKS = ("on_open", "on_message", "on_tick", "on_close")


@dataclass(slots=True)
class HookCounts:
    """What the message hook of a filter has done.

    calls    how often it was called
    seconds  how long it has held the event loop, as a plain function
    errors   how often it raised, or returned what it may not
    """

    calls: int = 0
    seconds: float = 0.0
    errors: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class HookStep:
    """A filter with hooks for sessions: its `own` ones. `title` is how logs call it."""

    filter: Filter
    title: str
    own: frozenset[str]
    reads: Reads | None
    on_error: str
    tick: float
    counts: HookCounts = field(default_factory=HookCounts)


def step_of(filter: Filter, title: str) -> HookStep | None:
    """The filter as a step, None when its class has no hook for sessions."""
    own = frozenset(hook for hook in _SESSION_HOOKS if overrides(type(filter), hook))
    if not own:
        return None
    return HookStep(
        filter,
        title,
        own,
        filter.reads if "on_message" in own else None,
        filter.spec.get("onError", "close"),
        filter.tick if "on_tick" in own else inf,
    )


class _Ticks(dict[HookStep, float]):
    """When `on_tick` of each filter was due last: a note of a session."""


class _Dropped(set[HookStep]):
    """Which filters the log says to have dropped a message: a note of a session."""


class SessionHooks:
    """See `easews.Hooks`. One for all sessions whose handshakes have passed the same filters."""

    def __init__(self, steps: Sequence[HookStep]) -> None:
        self.tick: float = min(step.tick for step in steps)
        self._opening = [step for step in steps if "on_open" in step.own]
        self._closing = [step for step in steps if "on_close" in step.own]
        self._ticking = [step for step in steps if step.tick < inf]
        readers = [step for step in steps if step.reads is not None]
        self._readers: dict[str, list[HookStep]] = {
            "client": _of(readers, "client"),
            "backend": _of(reversed(readers), "backend"),
        }

    def reads(self, sender: Sender) -> Reads | None:
        """What is read of the messages of `sender`; None: nothing."""
        steps = self._readers[sender]
        return merged_reads(sender, [step.reads for step in steps if step.reads is not None])

    def message(self, session: Session, message: Message) -> MaybeLater:
        """What goes on in place of `message`: itself when nobody has changed it."""
        return _through(self._readers[message.sender], session, message)

    def opened(self, session: Session) -> Awaitable[None] | None:
        """It has opened."""
        return _told(session, self._opening, "on_open", session)

    def ticked(self, session: Session) -> Awaitable[None] | None:
        """`tick` seconds have passed."""
        return _told(session, self._due(session), "on_tick", session)

    def _due(self, session: Session) -> Sequence[HookStep]:
        """Those whose own `tick` has passed, to the nearest of the session's."""
        if all(step.tick == self.tick for step in self._ticking):
            return self._ticking
        now, ticks = session.now(), session.notes.get(_Ticks)
        if ticks is None:
            ticks = _Ticks(dict.fromkeys(self._ticking, now - self.tick))
            session.notes.put(ticks)
        early = self.tick / 2
        due = [step for step in self._ticking if now - ticks[step] >= step.tick - early]
        # Late ones do not catch up, and those that come early do not come earlier each time.
        ticks.update({step: max(ticks[step] + step.tick, now - early) for step in due})
        return due

    def ended(self, session: Session, ending: Ending) -> Awaitable[None] | None:
        """It is over."""
        return _told(session, self._closing, "on_close", session, ending)


def merged_reads(sender: Sender, reads: Iterable[Reads]) -> Reads | None:
    """What has to be read of the messages of `sender` for all of these; None: nothing."""
    wanted = [it for it in reads if sender in it.senders]
    if not wanted:
        return None
    return Reads(
        (sender,),
        any(it.text for it in wanted),
        any(it.binary for it in wanted),
        min(it.max_size for it in wanted),
    )


def _of(steps: Iterable[HookStep], sender: Sender) -> list[HookStep]:
    return [step for step in steps if step.reads is not None and sender in step.reads.senders]


# Messages


def _through(steps: Sequence[HookStep], session: Session, message: Message) -> MaybeLater:
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
    result = await _awaited(step, awaited, "on_message", session)
    if isinstance(result, _Failed):
        result = _instead(step, message)
    outcome = _onward(_judged(step, session, message, result), steps, session)
    return await outcome if isawaitable(outcome) else outcome


def _onward(
    outputs: Sequence[Message | Close], steps: Sequence[HookStep], session: Session
) -> MaybeLater:
    """What a filter has made of a message, past those behind it."""
    if len(outputs) == 1 and isinstance(output := outputs[0], Message):
        return _through(steps, session, output)
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
        outcome = _through(steps, session, output)
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
        if _is_ours(error):
            raise
        _log_failure(step, "on_message", session)
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
        if _is_ours(error):
            raise
        _log_failure(step, "on_message", session)
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


def _is_ours(error: BaseException) -> bool:
    """Whether what a plain function has raised is not its own. Nobody closes one that is running,
    so GeneratorExit is.
    """
    return must_go_on(error) and not isinstance(error, GeneratorExit)


def _instead(step: HookStep, message: Message) -> Message | Close | tuple[()]:
    """What goes on in place of the message at which the filter has failed."""
    if step.on_error == "pass":
        return message
    return () if step.on_error == "drop" else FAILED


# Everything that is awaited, and the other hooks


class _Failed:
    """In place of a result that there is not."""


async def _awaited(
    step: HookStep, awaited: Awaitable[object], hook: str, session: Session
) -> object:
    """What it returns, `_Failed()` when it raises or takes too long. That is logged."""
    timed = Timed("session", session.opening.id, step.title)
    timeout = step.filter.hook_timeout
    try:
        with anyio.fail_after(timeout):
            return await driven(_coroutine(awaited), timed)
    except BaseException as error:
        if must_go_on(error):
            raise
        _log_failure(step, hook, session)
        return _Failed()


async def _coroutine(awaited: Awaitable[object]) -> object:
    return await awaited


def _log_failure(step: HookStep, hook: str, session: Session) -> None:
    step.counts.errors += 1
    then = f" (onError: {step.on_error})" if hook == "on_message" else ""
    log.exception("session %s: %s of %s raised%s", session.opening.id, hook, step.title, then)


def _told(
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
            if _is_ours(error):
                raise
            _log_failure(step, hook, session)
            continue
        finally:
            tell_if_blocking(began, paused, "session", session.opening.id, step.title)
        if isawaitable(result):
            later.append((step, result))
    return _all(later, session) if later else None


async def _all(later: Sequence[tuple[HookStep, Awaitable[object]]], session: Session) -> None:
    for step, awaited in later:
        await _awaited(step, awaited, "a hook", session)
