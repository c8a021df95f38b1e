"""The upgrade of several workers, in the old process that has started them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from socket import socket

import anyio

from ...errors import EasewsError
from ...net.channel import pair
from ...server.binding import UnixListener
from ..handover import protocol
from ..handover.giving import placed
from ..handover.inworker import GO_ON_PATIENCE, Moved
from ..handover.link import Link
from ..handover.protocol import HandoverFault, Message, OtherGone, Place
from .calls import Gone
from .workerprocess import WorkerProcess
from .workers import Workers

log: logging.Logger = logging.getLogger("easews")


class WorkersOffering:
    """The side of several workers: each hands its sessions over, over a channel of its own."""

    several: bool = True

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._link: Link
        self._fault: Exception | None = None
        self._giving = anyio.CancelScope()
        self.moved: int = 0
        self.kept: int = 0

    def places(self) -> Iterator[tuple[Place, socket]]:
        """See `Listening`."""
        for listener in self._workers.beside:
            yield from placed(listener.site.spec, listener.sockets)
        for spec in self._workers.config.servers:
            yield from placed(spec, self._workers.sockets[spec.name])

    async def give(self, link: Link, ready: Message) -> None:
        """See `Side`. A worker that ends meanwhile has lost its own sessions only."""
        self._link = link
        self._workers.hold()
        for listener in self._workers.beside:
            listener.pause()
        with self._giving:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch)
                await self._give_all()
                tasks.cancel_scope.cancel()
        if self._fault is not None:
            raise self._fault
        self._leave_files()
        await link.channel.send(protocol.done(self.kept))

    async def take_back(self, last: Iterable[Message]) -> None:
        """See `Side`."""
        self.moved = 0
        async with anyio.create_task_group() as tasks:
            for process in self._workers.serving():
                tasks.start_soon(self._go_on, process)
        for listener in self._workers.beside:
            listener.go_on()
        self._workers.hold(held=False)

    def leave(self) -> None:
        """See `Side`. The workers know by the end of their calls."""

    async def tell_of_the_rest(self, link: Link) -> None:
        """See `Side`. The workers do."""

    async def _watch(self) -> None:
        """The new process says nothing while its workers take over. It may end."""
        await self._link.channel.receive()
        self._fail(OtherGone())

    async def _give_all(self) -> None:
        """There may be workers that begin to serve meanwhile."""
        given: list[WorkerProcess] = []
        while new := [process for process in self._workers.serving() if process not in given]:
            given += new
            async with anyio.create_task_group() as tasks:
                for process in new:
                    tasks.start_soon(self._give, process)

    async def _give(self, process: WorkerProcess) -> None:
        try:
            done = await self._handed_over(process)
        except Gone:
            log.warning("worker %d has ended while it handed over", process.number)
        except (EasewsError, OSError) as error:
            self._fail(error)
        else:
            self.moved += done["moved"]
            self.kept += done["kept"]
            if done["fault"]:
                self._fail(HandoverFault(f"worker {process.number}: {done['fault']}"))

    async def _handed_over(self, process: WorkerProcess) -> Moved:
        ours, theirs = pair()
        with ours:
            with theirs:
                await self._link.channel.send(protocol.sessions(), [theirs.fileno()])
            done: Moved = await process.calls.call("hand_over", fds=[ours.fileno()])
            return done

    def _fail(self, error: Exception) -> None:
        """The first fault is the one that counts."""
        if self._fault is None:
            self._fault = error
        self._giving.cancel()

    def _leave_files(self) -> None:
        for _, sock in self.places():
            if isinstance(sock, UnixListener):
                sock.leave_file()

    async def _go_on(self, process: WorkerProcess) -> None:
        try:
            with anyio.fail_after(GO_ON_PATIENCE):
                moved: int = await process.calls.call("go_on")
        except (EasewsError, TimeoutError) as error:
            why = str(error) or "it does not answer"
            log.error("worker %d does not accept again: %s", process.number, why)
        else:
            self.moved += moved
