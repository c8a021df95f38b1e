"""The upgrade to several workers, in the new process that has started them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from math import inf

import anyio

from ...errors import EasewsError
from ...net.channel import Channel
from ..handover import protocol
from ..handover.arriving import ending_at_faults
from ..handover.taking import Taker
from .workers import Workers

log: logging.Logger = logging.getLogger("easews")


class WorkersTaker:
    """Has `workers` take over what comes to `taker`. Make it before the first worker starts."""

    def __init__(self, taker: Taker, workers: Workers) -> None:
        self._taker = taker
        self._workers = workers
        self._put, self._pids = anyio.create_memory_object_stream[int](inf)
        workers.on_start.append(self._put.send_nowait)

    async def run(self, in_charge: Callable[[], None]) -> None:
        """Take over all sessions. `in_charge` is called when nothing else comes.

        The processes of old workers go to the new ones by turns. An old process without workers
        has all its sessions go to one.
        """
        taker = self._taker
        taker.sockets.close()
        try:
            await self._tell_of_starts()
            async with self._workers.unchanged():
                if taker.several:
                    turns = count()
                    await taker.take_from_several(lambda channel: self._take(channel, next(turns)))
                else:
                    taker.has_all = await self._take(taker.channel, 0)
            if taker.has_all:
                taker.sockets.own_files()
                in_charge()
            if taker.several:
                await taker.hear_of_back()
        finally:
            taker.other_is_there = False
            if self._workers.failure is None:  # else the other process is yet to be told of it
                taker.channel.close()

    async def _tell_of_starts(self) -> None:
        """Until all workers serve: if they do not, the old process ends them."""
        with self._put, self._pids:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tell)
                await self._workers.settled.wait()
                self._workers.on_start.remove(self._put.send_nowait)
                self._put.close()

    async def _tell(self) -> None:
        with ending_at_faults(self._taker.channel):
            async for pid in self._pids:
                if not self._taker.other_goes_on:  # else they are not ended if the upgrade fails
                    await self._taker.channel.send(protocol.started(pid))

    async def _take(self, channel: Channel, turn: int) -> bool:
        """Have a worker take over what comes over a channel. Whether that is all that can move. The
        channel is closed here: the other end notices when the worker dies.
        """
        has_all = False
        try:
            if serving := self._workers.serving():
                calls, how = serving[turn % len(serving)].calls, self._taker.other_goes_on
                has_all = await calls.call("take_over", how, fds=[channel.fileno()])
        except EasewsError as error:
            log.error("nothing more is taken over: %s", error)
        finally:
            channel.close()
        return has_all
