"""A filter with hooks for sessions, as a step that sessions and messages pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from ..filters import Filter, overrides
from ..messages import Reads

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
