"""The sessions of another process on their way to this one: the side that takes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from anyio import CancelScope

from ...net.channel import Channel, DescriptorsLost
from ..serving.gateway import Gateway
from . import plain, protocol
from .adopting import Adoption
from .protocol import HandoverFault, Kind, Message, expect

log: logging.Logger = logging.getLogger("easews")


@contextmanager
def ending_at_faults(channel: Channel) -> Iterator[None]:
    """A fault ends the block, and the channel: the other process notices by that."""
    try:
        yield
    except (DescriptorsLost, HandoverFault) as error:
        log.error("nothing more is taken over: %s", error)
        channel.close()
    except OSError:
        pass  # the other process has ended


class Arrival:
    """Sessions that come over `channel` to be `gateway`'s, whose config stays as it is meanwhile.

    With `other_goes_on` the other process goes on with everything that it has not heard to be
    taken, although this one lives. Else it does so only if this one is dead.

    kept_behind  how many are still open in the process that they come from
    has_all      whether it has handed over everything that can move
    on_back      called with the channel when this process is to hand everything back
    """

    def __init__(self, gateway: Gateway, channel: Channel, *, other_goes_on: bool = False) -> None:
        self._gateway = gateway
        self._channel = channel
        self._other_goes_on = other_goes_on
        self.kept_behind: int = 0
        self.has_all: bool = False
        self.on_back: Callable[[Channel], None] = lambda _: None

    async def take(self) -> None:
        """Take over sessions, until nothing else comes."""
        with ending_at_faults(self._channel):
            adoption = Adoption(self._gateway)
            await self._channel.send(protocol.ready(plain.versions(adoption.services)))
            while (message := await self._next(adoption)) is not None:
                if expect(message, Kind.BATCH, Kind.DONE)["is"] == Kind.DONE:
                    self.kept_behind = message["count"]
                    self.has_all = True
                    return
                await self._adopt(adoption, message)

    async def hear_of_the_rest(self) -> None:
        """Hear of the sessions that have stayed behind, until the other process has ended."""
        try:
            with ending_at_faults(self._channel):
                while (message := await self._channel.receive()) is not None:
                    if expect(message, Kind.KEPT, Kind.BACK)["is"] == Kind.KEPT:
                        self.kept_behind = message["count"]
                    else:
                        self.on_back(self._channel)
        finally:
            self.close()

    def close(self) -> None:
        """Nothing more comes."""
        self.kept_behind = 0
        self._channel.close()

    async def _adopt(self, adoption: Adoption, batch: Message) -> None:
        adopted, refused = adoption.adopt(batch)
        try:
            with CancelScope(shield=True):
                await self._channel.send(protocol.taken(batch["number"], refused))
        except OSError:  # the other process goes on, or is dead
            settle = adoption.abandon if self._other_goes_on else adoption.begin
            settle(adopted)
            raise
        adoption.begin(adopted)

    async def _next(self, adoption: Adoption) -> Message | None:
        while True:
            try:
                return await self._channel.receive()
            except DescriptorsLost as error:
                why = "the limit of open files is reached in the new process"
                ids = [it["opening"]["id"] for it in error.message.get("sessions", ())]
                number = error.message["number"]
                await self._channel.send(protocol.taken(number, dict.fromkeys(ids, why)))
