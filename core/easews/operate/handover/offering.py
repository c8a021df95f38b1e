"""The sessions of this process on their way to another one, batch after batch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from socket import socket
from typing import Any

import anyio
from anyio import CancelScope
from anyio.lowlevel import checkpoint

from ...net.channel import Channel, DescriptorsRefused
from ...server import Listener
from ...services import Service
from ...sessions import Session
from ..serving.gateway import Gateway
from . import plain, protocol
from .giving import placed
from .link import Link
from .protocol import BATCH, Giver, Kind, Message, Place, Settled, expect

log: logging.Logger = logging.getLogger("easews")

#: Seconds that the other process has to take a batch. The sessions in it rest as long.
BATCH_PATIENCE = 10.0
#: Seconds in which clients whose connections are kept may send one more request, and handshakes
#: that are in progress may become sessions, which then move, too.
LATE_PATIENCE = 3.0
#: The same while requests are in progress: a handshake with a slow server takes no longer.
REQUEST_PATIENCE = 20.0
#: Seconds between two looks at those, and from one message about who is left to the next.
LOOK, TELL = 0.05, 1.0


class Offering:
    """The side of one process, which serves `gateway`."""

    several: bool = False

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._giver = Giver()
        self._services = plain.movers(gateway.services)
        self._movable: Mapping[str, Service] = {}  # those whose state the other one understands
        self._packed: dict[str, tuple[Session, Service]] = {}
        self._stay: set[str] = set()
        self.moved: int = 0

    @property
    def kept(self) -> int:
        """How many sessions are here."""
        return len(self._gateway.sessions)

    def places(self) -> Iterator[tuple[Place, socket]]:
        """See `Listening`."""
        for listener in self._listeners:
            yield from placed(listener.site.spec, listener.sockets)

    async def give(self, link: Link, ready: Message) -> None:
        """See `Side`."""
        self._compare(ready["states"])
        async with self._gateway.moving.going_on():
            for listener in self._listeners:
                listener.pause()
            await self._send_sessions(link.channel)
            for listener in self._listeners:
                listener.leave_sockets()
            await link.channel.send(protocol.done(self.kept))
            self._gateway.has_moved = True

    async def take_back(self, last: Iterable[Message]) -> None:
        """See `Side`."""
        self._gateway.has_moved = False
        self._settle(self._giver.end(last))
        self.leave()
        for listener in self._listeners:
            listener.go_on()

    def leave(self) -> None:
        """See `Side`."""
        self._settle(self._giver.end(()))
        while self._packed:  # before they could be offered
            _, (session, service) = self._packed.popitem()
            service.resume(session)

    async def tell_of_the_rest(self, link: Link) -> None:
        """See `Side`."""
        try:
            while True:
                await link.channel.send(protocol.kept(self.kept))
                await anyio.sleep(TELL)
        except OSError:
            pass  # it has ended; these here go on

    @property
    def _listeners(self) -> list[Listener]:
        return [*self._gateway.listeners.values(), *self._gateway.beside]

    def _compare(self, theirs: Mapping[str, int]) -> None:
        """Find out which services' sessions may move. What does not fit stays."""
        ours = plain.versions(self._services)
        if theirs.get(plain.ENGINE) == ours[plain.ENGINE]:
            self._movable = {
                name: it for name, it in self._services.items() if theirs.get(name) == ours[name]
            }
        if left := sorted(set(self._services) - set(self._movable)):
            log.warning(
                "the new process has another version of %s: those sessions stay, and are drained",
                ", ".join(left),
            )

    async def _send_sessions(self, channel: Channel) -> None:
        """Batch after batch, until nothing can move. Sessions that open meanwhile follow."""
        since = anyio.current_time()
        while True:
            for batch in self._batches():
                with CancelScope(shield=True):
                    await self._send_batch(channel, batch)
                await checkpoint()
                since = anyio.current_time()
            if any(self._batches()):
                continue  # one has opened while the last batch was on its way
            patience = REQUEST_PATIENCE if self._gateway.unfinished.requests else LATE_PATIENCE
            if not self._may_open_more() or anyio.current_time() >= since + patience:
                return
            await anyio.sleep(LOOK)

    def _may_open_more(self) -> bool:
        """Whether clients are connected that have no session yet."""
        connected = sum(listener.open for listener in self._gateway.listeners.values())
        return connected > len(self._gateway.sessions)

    def _batches(self) -> Iterator[list[Session]]:
        batch: list[Session] = []
        for session in self._gateway.sessions:
            if session.opening.id not in self._stay:
                batch.append(session)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _send_batch(self, channel: Channel, batch: Iterable[Session]) -> None:
        described: list[Message] = []
        sockets: list[socket] = []
        for session in batch:
            packed = self._pack(session)
            if packed is not None:
                described.append(packed[0])
                sockets += packed[1]
        if not described:
            return
        ids = [it["opening"]["id"] for it in described]
        number = self._giver.offer(ids)
        with anyio.fail_after(BATCH_PATIENCE):
            fds = [sock.fileno() for sock in sockets]
            try:
                await channel.send(protocol.batch(number, described), fds)
                answer = expect(await channel.receive(), Kind.TAKEN)
            except DescriptorsRefused as error:  # nothing of it has gone
                answer = protocol.taken(number, dict.fromkeys(ids, f"{error.strerror}"))
        settled = self._giver.taken(answer)
        self._settle(settled)
        for known, why in settled.back.items():
            self._stay.add(known)
            log.warning("session %s stays in this process, and is drained: %s", known, why)

    def _pack(self, session: Session) -> tuple[Message, Sequence[socket]] | None:
        known = session.opening.id
        for name, service in self._movable.items():
            packed = service.pack(session)
            if packed is not None:
                self._packed[known] = session, service
                described: dict[str, Any] = {
                    "opening": plain.opening_written(session.opening),
                    "service": name,
                    "state": packed.state,
                    "sockets": len(packed.sockets),
                }
                return described, packed.sockets
        if self._gateway.sessions.get(known) is not None:
            self._stay.add(known)
        return None

    def _settle(self, settled: Settled) -> None:
        for known in settled.moved:
            session, service = self._packed.pop(known)
            service.forget(session)
            self.moved += 1
        for known in settled.back:
            session, service = self._packed.pop(known)
            service.resume(session)
