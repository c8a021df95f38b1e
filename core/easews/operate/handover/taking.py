"""The new process's side of an upgrade: take over what the old one has."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ...config.model import ServerSpec
from ...net.channel import Channel, DescriptorsLost, of_descriptor
from ...server.handedover import HandedOver
from ...upstream.balance.sticky import use_secret
from ...upstream.drained import keep_drained
from ..serving.gateway import Gateway
from . import protocol
from .arriving import Arrival, ending_at_faults
from .protocol import HandoverFault, Kind, expect


class Taker:
    """Takes over from the process at the other end of `channel`.

    sockets         its listening sockets, for `bind`; none of them when it is gone
    several         whether it has workers, each of which hands its sessions over
    kept_behind     how many sessions are still open there
    has_all         whether it has handed over everything that can move
    other_is_there  whether it may still say something
    other_goes_on   whether it goes on with all that it has not heard to be taken, although this
                    process lives
    on_back         called with the channel when this process is to hand everything back
    """

    def __init__(self, channel: Channel, *, other_goes_on: bool = False) -> None:
        self.channel: Channel = channel
        self.sockets: HandedOver = HandedOver()
        self.several: bool = False
        self.has_all: bool = False
        self.other_is_there: bool = True
        self.on_back: Callable[[Channel], None] = lambda _: None
        self.other_goes_on = other_goes_on
        self._arrivals: list[Arrival] = []
        self._taking: anyio.CancelScope | None = None
        self._over: anyio.Event  # once it runs

    @classmethod
    def from_environment(
        cls, environment: MutableMapping[str, str], *, other_goes_on: bool = False
    ) -> Taker | None:
        """None when this process follows no other. HandoverFault when the other one is of a
        version whose messages are not understood. The variable is removed: processes that this one
        starts are not meant.

        With `other_goes_on` the other process goes on with everything that it has not heard to be
        taken, although this one lives. Else it does so only if this one is dead.
        """
        told = environment.pop(protocol.VARIABLE, None)
        if told is None:
            return None
        return cls(of_descriptor(protocol.descriptor_in(told)), other_goes_on=other_goes_on)

    def close(self) -> None:
        """Take nothing more. The other process goes on with what it has."""
        self.channel.close()
        self.sockets.close()

    @property
    def kept_behind(self) -> int:
        """How many sessions are still open in the process before."""
        return sum(arrival.kept_behind for arrival in self._arrivals)

    async def listeners(self, servers: Sequence[ServerSpec]) -> None:
        """Receive `sockets`, for these servers. HandoverFault when there is no room for them under
        the limit of open files.
        """
        try:
            message = await self.channel.receive()
        except DescriptorsLost as error:
            raise HandoverFault(f"the listening sockets cannot be taken over: {error}") from None
        if message is None:
            return  # the process is gone: all is begun anew
        places = protocol.places_in(expect(message, Kind.LISTENERS))
        keep_drained(message["drained"])
        use_secret(bytes.fromhex(message["secret"]))
        self.several = message["several"]
        fds: Sequence[int] = message.get("fds", ())
        same = {(spec.name, spec.address, spec.port) for spec in servers}
        # A server gets those with its name only if it listens where it did. Else sockets are found
        # by their address.
        named = [
            (place.server if place[:3] in same else "", fd)
            for place, fd in zip(places, fds, strict=True)
        ]
        with_file = [fd for place, fd in zip(places, fds, strict=True) if place.owns_file]
        self.sockets = HandedOver(named, with_file)

    async def refuse(self, problems: Sequence[str]) -> bool:
        """Tell the old process why this one cannot serve. Whether it could be told."""
        try:
            await self.channel.send(protocol.refused(problems))
        except OSError:
            return False
        self.channel.close()
        return True

    async def run(self, gateway: Gateway, in_charge: Callable[[str], None]) -> None:
        """Take over sessions, and then hear of those that stay behind, until the old process ends.

        `in_charge` is called when nothing else comes.
        """
        self.sockets.close()
        self._over = anyio.Event()
        try:
            async with anyio.create_task_group() as rest:
                with anyio.CancelScope() as self._taking:
                    async with gateway.unchanged(), gateway.moving.going_on():
                        if self.several:
                            await self.take_from_several(
                                lambda channel: self._take(gateway, channel, rest)
                            )
                            rest.start_soon(self.hear_of_back)
                        else:
                            await self._take(gateway, self.channel, rest)
                if self.has_all:
                    self.sockets.own_files()
                    in_charge(f"{len(gateway.sessions)} open sessions")
        finally:
            for arrival in self._arrivals:
                arrival.close()
            self.other_is_there = False
            self.channel.close()
            self._over.set()

    async def give_up(self) -> None:
        """Take nothing more if the other process goes on with what it still has. When this returns,
        what was taken is relayed. Else go on: what is still to come ends here, too.
        """
        if self.other_goes_on and self._taking is not None and not self.has_all:
            self._taking.cancel()
            await self._over.wait()

    async def take_from_several(
        self, take: Callable[[Channel], Coroutine[Any, Any, object]]
    ) -> None:
        """Have `take` take over from each old worker, over a channel from that, until all have
        handed over.
        """
        async with anyio.create_task_group() as takes:
            with ending_at_faults(self.channel):
                await self.channel.send(protocol.ready({}))
                while (channel := await self._next_channel()) is not None:
                    takes.start_soon(take, channel)

    async def _next_channel(self) -> Channel | None:
        """Over which an old worker hands its sessions over; None when all have done so."""
        message = await self.channel.receive()
        if message is None or expect(message, Kind.SESSIONS, Kind.DONE)["is"] == Kind.DONE:
            self.has_all = message is not None
            return None
        return of_descriptor(*message["fds"])

    async def hear_of_back(self) -> None:
        """Hear from a process with workers whether this one is to hand everything back, until that
        has ended.
        """
        with ending_at_faults(self.channel):
            while (message := await self.channel.receive()) is not None:
                expect(message, Kind.BACK)
                self.on_back(self.channel)

    async def _take(self, gateway: Gateway, channel: Channel, rest: TaskGroup) -> None:
        arrival = Arrival(gateway, channel, other_goes_on=self.other_goes_on)
        arrival.on_back = self.on_back
        self._arrivals.append(arrival)
        await arrival.take()
        if not self.several:
            self.has_all = arrival.has_all
        rest.start_soon(arrival.hear_of_the_rest)
