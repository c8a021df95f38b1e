"""What filters do with the sessions and messages that pass them.

    handshake ──▶ A, B        the filters that it has passed, in the order of the flow
    client's message ──▶ A ──▶ B ──▶ backend
    backend's message ──▶ B ──▶ A ──▶ client

Whatever a hook raises or returns, the others go on: see `Filter.on_message`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from math import inf

from ..messages import MaybeLater, Message, Reads, Sender
from ..sessions import Ending, Session
from .hookcalls import tell
from .hooksteps import HookStep
from .messageflow import pass_through


class _Ticks(dict[HookStep, float]):
    """When `on_tick` of each filter was due last: a note of a session."""


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
        return pass_through(self._readers[message.sender], session, message)

    def opened(self, session: Session) -> Awaitable[None] | None:
        """It has opened."""
        return tell(session, self._opening, "on_open", session)

    def ticked(self, session: Session) -> Awaitable[None] | None:
        """`tick` seconds have passed."""
        return tell(session, self._due(session), "on_tick", session)

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
        return tell(session, self._closing, "on_close", session, ending)


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
