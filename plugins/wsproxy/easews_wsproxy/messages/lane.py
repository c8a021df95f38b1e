"""One direction of a session whose messages are read.

    leg ──▶ Reader.read ──▶ hooks.message ──▶ Onward ──▶ the other leg

Messages that nobody changes go on as the bytes that they came in, all of one read in one write.
Where a filter takes its time, or the other leg takes no more, what was read behind that message
waits, and the leg is not read.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import isawaitable

from anyio.lowlevel import checkpoint

from easews import Message, Outcome, Sender

from ..relay.compiled import keep_freed_memory
from ..relay.endstates import SEALED
from ..relay.forwarding import swallows
from ..relay.frames import PONG
from ..relay.hookrunner import HookRunner
from ..relay.incoming import on_bytes, on_stop
from ..relay.leg import Leg
from ..relay.session import RelaySession
from ..relay.sizes import LARGE_FRAME
from .deflate import Agreed
from .onward import Onward
from .reading import Item, Reader

#: Seconds that the hooks may take with what was read at once, until other sessions have their turn.
_TURN = 0.002


@dataclass(slots=True)
class _Batch:
    """What was read at once: ``buffer[pos:end]`` is what the reader stopped at. `at` is the item
    that is next; `is_copy`: the buffer is its own.
    """

    buffer: bytearray
    items: list[Item]
    pos: int
    end: int
    at: int = 0
    is_copy: bool = False


def read_messages(
    session: RelaySession, limits: Mapping[Sender, int], agreed: Agreed | None
) -> None:
    """Have the messages of these senders read, which may have so many bytes. `agreed`: the client's
    and the backend's permessage-deflate.
    """
    _prepare()
    for leg in (session.client, session.backend):
        if session.hooks is not None and leg.role in limits:
            leg.lane = Lane(session, session.hooks, leg, agreed, limits[leg.role])


@cache
def _prepare() -> None:
    keep_freed_memory()  # of the whole process: only where messages are read


class Lane:
    """See `easews_wsproxy.relay.lane.Lane`. `leg` is the one whose messages are read."""

    __slots__ = (
        "_batch",
        "_counted",
        "_hooks",
        "_kept",
        "_leg",
        "_onward",
        "_reader",
        "_session",
        "awaits_filter",
        "waits",
    )

    def __init__(
        self,
        session: RelaySession,
        hooks: HookRunner,
        leg: Leg,
        agreed: Agreed | None,
        limit: int,
    ) -> None:
        self._session = session
        self._hooks = hooks
        self._leg = leg
        self._reader = Reader(leg.walker, leg.role, agreed, limit)
        self._onward = Onward(session, leg, agreed)
        self._batch: _Batch | None = None  # the one that is being passed on, or waits
        self.awaits_filter = False
        self._kept = 0  # bytes of a batch that waits
        self._counted = 0  # bytes that `HeldBytes` has of us
        self.waits = False

    @property
    def size(self) -> int:
        return self._reader.held + self._kept

    @property
    def is_filling(self) -> bool:
        return self._reader.begun is not None and self._leg.walker.remaining >= LARGE_FRAME

    @property
    def is_quiet(self) -> bool:
        return not (self.waits or self._hooks.acted or self.is_filling)

    def room(self) -> memoryview:
        assert self._reader.begun is not None
        return self._reader.begun.room()

    # What the session asks

    def look(self, buffer: bytearray, end: int, now: float) -> bool:
        other = self._leg.other
        other.own -= end  # it was sent nothing of that yet
        items, pos = self._reader.read(buffer, 0, end)
        batch = _Batch(buffer, items, pos, end)
        passed = self._pass_on(batch, now)
        if passed and not self._hooks.acted and self._onward.leave_all(end):
            self._batch = None
            other.own += end
            return True
        self._finish(batch, passed, now)
        self._count()
        return False

    def fill(self, count: int, now: float) -> None:
        assert self._reader.begun is not None
        self._leg.other.own -= count
        items = self._reader.fill(self._reader.begun, count)
        batch = _Batch(bytearray(), items, 0, 0)
        self._finish(batch, self._pass_on(batch, now), now)
        self._count()

    def go_on(self, now: float) -> None:
        batch, other = self._batch, self._leg.other
        if batch is None or self.awaits_filter or other.sending in SEALED:
            return
        if other.pending is None:
            self.waits = False
            self._kept = 0
            self._finish(batch, self._pass_on(batch, now), now)
            self._count()

    def flush(self) -> None:
        if self._batch is not None:
            self._onward.flush(self._batch.buffer)

    def end(self, now: float) -> None:
        leg, batch = self._leg, self._batch
        leg.lane = self._batch = None
        leg.held_bytes.add(-self._counted)
        if batch is None:
            return
        if leg.walker.fault is not None:
            leg.discard()
        elif batch.pos != batch.end:  # a Close may stand there
            on_bytes(self._session, leg, batch.buffer, batch.pos, batch.end, batch.pos, now)

    # Passing on

    def _pass_on(self, batch: _Batch, now: float) -> bool:
        """Give the hooks one message after the other. False when one has to wait, also for the
        others to have their turn.
        """
        self._batch = batch
        first, until = batch.at, now + _TURN
        hooks, sender, other = self._hooks, self._leg.role, self._leg.other
        onward, extend = self._onward, self._onward.extend
        hooks.acted = False
        hooks.is_calling = True
        try:
            buffer, items = batch.buffer, batch.items
            for at in range(batch.at, len(items)):
                item = data, begin, end, raw = items[at]
                batch.at = at
                if other.sending in SEALED:
                    return True
                if data is None:
                    extend(buffer, begin, end)
                    continue
                if at != first and time.monotonic() >= until:
                    self._rest()
                    return False
                message = Message(data, sender)
                outcome = hooks.message(message)
                if outcome is message:
                    if raw is None and not onward.recompresses:
                        extend(buffer, begin, end)
                    else:
                        onward.unchanged(buffer, item)
                    continue
                if isawaitable(outcome):
                    self._await(message, outcome)
                    return False
                onward.changed(buffer, item, outcome)
                if other.pending is not None and at + 1 < len(items):
                    batch.at += 1
                    return False
            batch.at = len(items)
            return other.pending is None or not self._reader.is_full
        finally:
            hooks.is_calling = False

    def _finish(self, batch: _Batch, passed: bool, now: float) -> None:
        """Write what may go on, then read on in the batch; keep it when a message has to wait."""
        self.flush()
        while passed:
            self._batch = None
            if not self._may_read_on(batch, now):
                return
            batch.items, batch.pos = self._reader.read(batch.buffer, batch.pos, batch.end)
            batch.at = 0
            passed = self._pass_on(batch, now)
            self.flush()
        self._keep(batch)

    def _keep(self, batch: _Batch) -> None:
        """The relay's buffer is read into again."""
        if not batch.is_copy:
            batch.buffer, batch.is_copy = batch.buffer[: batch.end], True
        rest = (data for data, _, _, _ in batch.items[batch.at :] if data is not None)
        self._kept = batch.end + sum(map(len, rest))
        self.waits = True

    def _may_read_on(self, batch: _Batch, now: float) -> bool:
        """Act on what the reader stopped at. False when it is not to go on behind that."""
        leg, buffer, pos, end = self._leg, batch.buffer, batch.pos, batch.end
        fault, control = leg.walker.fault, leg.walker.control
        if fault is None and pos == end:
            return False
        if fault is None and control is not None and control.opcode == PONG:
            batch.pos += control.size
            if not swallows(leg, control, now):
                self._onward.write(memoryview(buffer)[pos : batch.pos])
            return batch.pos != end
        if fault is None and control is None and self._reader.is_full:
            return True
        on_stop(self._session, leg, buffer, pos, end, now)
        leg.other.own += len(leg.held)
        return False

    # Hooks that take their time

    def _rest(self) -> None:
        """Go on when the others have had their turn."""
        self.awaits_filter = True
        self._hooks.wait(checkpoint(), lambda _: self._rested())

    def _rested(self) -> None:
        self.awaits_filter = False

    def _await(self, message: Message, outcome: Awaitable[Outcome]) -> None:
        self.awaits_filter = True
        self._hooks.wait(outcome, lambda result: self._arrived(message, result))

    def _arrived(self, message: Message, outcome: Outcome) -> None:
        """A filter is through with the message that the batch has come to."""
        batch = self._batch
        self.awaits_filter = False
        if batch is None:
            return
        item = batch.items[batch.at]
        if outcome is message:
            self._onward.unchanged(batch.buffer, item)
        else:
            self._onward.changed(batch.buffer, item, outcome)
        batch.at += 1

    def _count(self) -> None:
        """Have what is kept counted among what the relay holds."""
        size = self.size
        if size != self._counted:
            self._leg.held_bytes.add(size - self._counted)
            self._counted = size
