"""The messages of an upgrade, and what each of them settles. Pure.

A session is always one process's. The old one offers it in a batch, and stops relaying it. It is
the new one's when that has said `taken`, which it says before it relays: what the old process has
not heard by the time that the new one is dead, it may go on with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ...errors import EasewsError

#: Changes with anything that another version would not understand.
VERSION = 2
#: How many sessions move together. They rest meanwhile: with more of them, each rests longer.
BATCH = 16
#: Where the new process finds its end of the channel, and the version of the old one.
VARIABLE = "EASEWS_HANDOVER"

Message = Mapping[str, Any]


class HandoverFault(EasewsError):
    """The other process does not do what it should.

    problems  what it has found, if it has told that it cannot serve
    """

    def __init__(self, wrong: str, problems: Iterable[str] = ()) -> None:
        super().__init__(wrong)
        self.problems: tuple[str, ...] = tuple(problems)


class OtherGone(HandoverFault):
    """The other process has closed its end of the channel."""

    def __init__(self) -> None:
        super().__init__("the other process is gone")


class Kind(StrEnum):
    """The sort of a message, in its field `is`."""

    LISTENERS = "listeners"
    STARTED = "started"
    READY = "ready"
    REFUSED = "refused"
    SESSIONS = "sessions"
    BATCH = "batch"
    TAKEN = "taken"
    DONE = "done"
    KEPT = "kept"
    BACK = "back"
    CHANNEL = "channel"


class Place(NamedTuple):
    """Which server a listening socket is of, and where its config has it listen. `owns_file`: it
    is a unix socket whose file goes with it.
    """

    server: str
    address: str
    port: int
    owns_file: bool = False


def variable(descriptor: int) -> str:
    """The value of `VARIABLE`."""
    return f"{VERSION}:{descriptor}"


def descriptor_in(text: str) -> int:
    """The descriptor that is told by `VARIABLE`. HandoverFault for another version."""
    version, _, descriptor = text.partition(":")
    if version != str(VERSION) or not descriptor.isdecimal():
        wrong = f"the running easews hands over in another way ({text}) than this one takes over"
        raise HandoverFault(f"{wrong} ({VERSION}); restart it instead")
    return int(descriptor)


def listeners(
    places: Iterable[Place],
    drained: Iterable[str] = (),
    *,
    secret: bytes = b"",
    several: bool = False,
) -> Message:
    """The listening sockets that come with this message, in this order, and what else the new
    process needs from the beginning: the servers that are drained, the secret of cookies, and
    whether `several` workers hand over, each over a channel of its own.
    """
    return {
        "is": Kind.LISTENERS,
        "places": [list(place) for place in places],
        "drained": list(drained),
        "secret": secret.hex(),
        "several": several,
    }


def places_in(message: Message) -> list[Place]:
    """The places in `listeners`."""
    return [Place(*place) for place in message["places"]]


def started(pid: int) -> Message:
    """This is a process that takes sessions over, or will: it is ended if the upgrade fails."""
    return {"is": Kind.STARTED, "pid": pid}


def ready(states: Mapping[str, int]) -> Message:
    """The new process serves. `states` are the services that take sessions over, each with the
    version of the state that it understands.
    """
    return {"is": Kind.READY, "states": dict(states)}


def refused(problems: Iterable[str]) -> Message:
    """The new process cannot serve; why."""
    return {"is": Kind.REFUSED, "problems": list(problems)}


def unless_refused(message: Message) -> Message:
    """The message. HandoverFault when it is `refused`."""
    if message["is"] == Kind.REFUSED:
        raise HandoverFault("the new process cannot serve", message["problems"])
    return message


def sessions() -> Message:
    """With this comes a channel over which one of the old workers hands over."""
    return {"is": Kind.SESSIONS}


def batch(number: int, sessions: Sequence[Message]) -> Message:
    """Sessions that are offered, with all their sockets."""
    return {"is": Kind.BATCH, "number": number, "sessions": list(sessions)}


def taken(number: int, refused: Mapping[str, str]) -> Message:
    """All sessions of the batch are the new process's, but for those refused: why, by id."""
    return {"is": Kind.TAKEN, "number": number, "refused": dict(refused)}


def done(kept: int) -> Message:
    """Nothing else will be offered; so many sessions stay behind."""
    return {"is": Kind.DONE, "count": kept}


def kept(count: int) -> Message:
    """So many of them are still open."""
    return {"is": Kind.KEPT, "count": count}


def back() -> Message:
    """The old process has ended its work, and the helper is to hand everything back to its pid."""
    return {"is": Kind.BACK}


def channel() -> Message:
    """The end of a channel that comes with this message is the one to take over by."""
    return {"is": Kind.CHANNEL}


def expect(message: Message | None, *kinds: Kind) -> Message:
    """The message, if it is one of these. HandoverFault when it is not, or None."""
    if message is None:
        raise OtherGone
    if message.get("is") not in kinds:
        raise HandoverFault(f"{' or '.join(kinds)} should come, and not {message.get('is')}")
    return message


class Settled(NamedTuple):
    """What has become of the sessions that were offered, by id.

    moved  they are the new process's
    back   they stay in the old one; why
    """

    moved: Sequence[str]
    back: Mapping[str, str]


_NOTHING = Settled((), {})


class Giver:
    """What the old process knows of its offers. One batch is on its way at a time."""

    def __init__(self) -> None:
        self._number = 0
        self._offered: Sequence[str] = ()

    def offer(self, ids: Sequence[str]) -> int:
        """These are offered now; the number of their batch."""
        if self._offered:
            raise HandoverFault("the batch before has not been taken yet")
        self._number += 1
        self._offered = ids
        return self._number

    def taken(self, message: Message) -> Settled:
        """The new process has answered to the offer. HandoverFault when it was to another one."""
        if not self._offered or message["number"] != self._number:
            raise HandoverFault(f"batch {message['number']} was taken, which is not on its way")
        refused: Mapping[str, str] = message["refused"]
        offered, self._offered = self._offered, ()
        moved = [known for known in offered if known not in refused]
        return Settled(moved, {known: refused[known] for known in offered if known in refused})

    def end(self, last: Iterable[Message]) -> Settled:
        """The new process is dead, and these were its `last` messages. What it has taken by them
        has died with it; the rest is ours.
        """
        for message in last:
            if message.get("is") == Kind.TAKEN and message["number"] == self._number:
                return self.taken(message) if self._offered else _NOTHING
        back, self._offered = dict.fromkeys(self._offered, "the new process has failed"), ()
        return Settled((), back)
