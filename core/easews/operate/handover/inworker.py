"""What a worker does in an upgrade: it hands its sessions over to one of another process, or takes
over those of one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypedDict

import anyio
from anyio.abc import TaskGroup

from ...net.channel import of_descriptor
from ..serving.gateway import Gateway
from . import protocol
from .arriving import Arrival, ending_at_faults
from .giving import Handover
from .link import Link
from .offering import BATCH_PATIENCE, Offering
from .protocol import HandoverFault

#: Seconds that a worker has to accept again. It may be waiting for an answer to its last batch.
GO_ON_PATIENCE = BATCH_PATIENCE + 5.0


class Moved(TypedDict):
    """What has become of a worker's sessions: how many have `moved`, how many were `kept`, and why
    it has taken back what it could; empty if it has not.
    """

    moved: int
    kept: int
    fault: str


class Moves:
    """The part of the worker that serves `gateway`. A channel comes as a list of its descriptor."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._arrivals: list[Arrival] = []
        self._handing = anyio.Lock()
        self._handover: Handover[Link] | None = None
        self._link: Link | None = None
        self._tasks: TaskGroup

    @property
    def kept_behind(self) -> int:
        """How many sessions are still open where this worker's have come from."""
        return sum(arrival.kept_behind for arrival in self._arrivals)

    async def run(self, _: Gateway) -> None:
        """What goes on beside the gateway."""
        async with anyio.create_task_group() as self._tasks:
            await anyio.sleep_forever()

    async def take_over(self, other_goes_on: bool, descriptors: Sequence[int]) -> bool:
        """Take over all that comes over a channel. Whether that is all that can move. See `Arrival`
        for `other_goes_on`.
        """
        channel = of_descriptor(*descriptors)
        if not other_goes_on:
            with ending_at_faults(channel):  # who hands over cannot know this process
                await channel.send(protocol.started(os.getpid()))
        arrival = Arrival(self._gateway, channel, other_goes_on=other_goes_on)
        self._arrivals.append(arrival)
        async with self._gateway.moving.going_on():
            await arrival.take()
        self._tasks.start_soon(arrival.hear_of_the_rest)
        return arrival.has_all

    async def hand_over(self, descriptors: Sequence[int]) -> Moved:
        """Hand over all that can move, over a channel."""

        async def linked() -> Link:
            return Link(of_descriptor(*descriptors))

        offering, fault = Offering(self._gateway), ""
        async with self._handing:
            self._handover = Handover(offering, linked)
            try:
                self._link = await self._handover.run(lambda _: None)
            except HandoverFault as error:
                fault = str(error)
        return {"moved": offering.moved, "kept": offering.kept, "fault": fault}

    async def go_on(self) -> int:
        """Accept again: the upgrade has failed. Returns how many sessions have moved, and are lost
        with it.
        """
        async with self._handing:
            if self._handover is None:
                return 0
            side = self._handover.side
            await side.take_back(())
            if self._link is not None:
                self._link.channel.close()
            self._handover = self._link = None
            return side.moved

    async def tell_of_the_rest(self) -> None:
        """Tell who has taken over how many sessions are left here, until cancelled."""
        if self._handover is not None and self._link is not None:
            try:
                await self._handover.side.tell_of_the_rest(self._link)
            finally:
                self._link.close()
