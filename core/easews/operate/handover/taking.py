"""The new process's side of an upgrade: take over what the old one has."""

from __future__ import annotations

import logging
import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from anyio import CancelScope, Event

from ...config.model import ServerSpec
from ...errors import EasewsError
from ...net.channel import Channel, DescriptorsLost
from ...server.handedover import HandedOver
from ...services import Packed, Service
from ...sessions import Connection, Session
from ...upstream import Pool, running_pools
from ...upstream.drained import keep_drained
from ..gateway import Gateway
from . import plain, protocol
from .protocol import HandoverFault, Kind, Message, expect

log: logging.Logger = logging.getLogger("easews")

GONE = "its path is gone"


class Adopted:
    """A session of the old process, made again here."""

    def __init__(self, session: Session, service: Service, connection: Connection) -> None:
        self.session = session
        self.service = service
        self.connection = connection


class Taker:
    """Takes over from the process at the other end of `channel`.

    sockets      its listening sockets, for `bind`; none of them when it is gone
    kept_behind  how many sessions are still open there
    has_all      whether it has handed over everything that can move
    on_back      called with the channel when this process is to hand everything back
    """

    def __init__(self, channel: Channel, *, other_goes_on: bool = False) -> None:
        self._channel = channel
        self._other_goes_on = other_goes_on
        self.has_all: bool = False
        self._taking: CancelScope | None = None
        self._over: Event  # once it runs
        self.on_back: Callable[[Channel], None] = lambda _: None
        self.sockets: HandedOver = HandedOver()
        self.kept_behind: int = 0

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
        channel = Channel(socket.socket(fileno=protocol.descriptor_in(told)))
        return cls(channel, other_goes_on=other_goes_on)

    def close(self) -> None:
        """Take nothing more. The other process goes on with what it has."""
        self._channel.close()
        self.sockets.close()

    async def listeners(self, servers: Sequence[ServerSpec]) -> None:
        """Receive `sockets`, for these servers. HandoverFault when there is no room for them under
        the limit of open files.
        """
        try:
            message = await self._channel.receive()
        except DescriptorsLost as error:
            raise HandoverFault(f"the listening sockets cannot be taken over: {error}") from None
        if message is None:
            return  # the process is gone: all is begun anew
        places = protocol.places_in(expect(message, Kind.LISTENERS))
        keep_drained(message.get("drained", ()))
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

    async def run(self, gateway: Gateway, in_charge: Callable[[str], None]) -> None:
        """Take over sessions, and then hear of those that stay behind, until the old process ends.

        `in_charge` is called when nothing else comes.
        """
        self.sockets.close()
        self._over = Event()
        try:
            with CancelScope() as self._taking:
                async with gateway.unchanged():
                    adoption = Adoption(gateway)
                    await self._channel.send(protocol.ready(plain.versions(adoption.services)))
                    await self._take_sessions(adoption)
            if not self.has_all:
                return
            in_charge(f"{len(gateway.sessions)} open sessions")
            while (message := await self._channel.receive()) is not None:
                if expect(message, Kind.KEPT, Kind.BACK)["is"] == Kind.KEPT:
                    self.kept_behind = message["count"]
                else:
                    self.on_back(self._channel)
        except OSError:
            pass  # the old process has ended
        except HandoverFault as error:
            log.error("nothing more is taken over: %s", error)
        finally:
            self.kept_behind = 0
            self._channel.close()
            self._over.set()

    async def give_up(self) -> None:
        """Take nothing more: the other process goes on with what it still has. When this returns,
        what was taken is relayed.
        """
        if self._taking is not None and not self.has_all:
            self._taking.cancel()
            await self._over.wait()

    async def _take_sessions(self, adoption: Adoption) -> None:
        while (message := await self._next(adoption)) is not None:
            if expect(message, Kind.BATCH, Kind.DONE)["is"] == Kind.DONE:
                self.kept_behind = message["count"]
                self.has_all = True
                return
            adopted, refused = adoption.adopt(message)
            try:
                with CancelScope(shield=True):
                    await self._channel.send(protocol.taken(message["number"], refused))
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


class Adoption:
    """Makes sessions of another process this gateway's, for as long as its config is the same."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._keys = {
            path.key
            for spec in gateway.config.servers
            for rule in spec.rules
            for path in rule.paths
        }
        self._pools: defaultdict[str, list[Pool]] = defaultdict(list)
        for running in running_pools(gateway.owners()):
            self._pools[running.pipeline].append(running.pool)
        self.services: Mapping[str, Service] = plain.movers(gateway.services)

    def adopt(self, batch: Message) -> tuple[list[Adopted], dict[str, str]]:
        """Those that could be made again, which are still at rest; and why not, by id."""
        fds = iter(batch.get("fds", ()))
        adopted: list[Adopted] = []
        refused: dict[str, str] = {}
        for described in batch["sessions"]:
            sockets = list(_sockets(fds, described["sockets"]))
            known = described["opening"]["id"]
            try:
                adopted.append(self._adopt(described, sockets))
            except EasewsError as error:
                refused[known] = str(error)
                _close(sockets)
            except Exception:
                log.exception("session %s cannot be taken over", known)
                refused[known] = "the new process cannot take it over; its log says why"
                _close(sockets)
        return adopted, refused

    def begin(self, adopted: Sequence[Adopted]) -> None:
        """They are ours: relay them."""
        for it in adopted:
            session = it.session
            it.connection.opened(session)
            own = self._pools[session.opening.route.pipeline]
            attempts = (attempt for pool in own if (attempt := pool.adopt(session)) is not None)
            it.connection.use(next(attempts, None))
            it.service.resume(session)

    def abandon(self, adopted: Sequence[Adopted]) -> None:
        """They are still the other process's."""
        for it in adopted:
            it.service.forget(it.session)

    def _adopt(self, described: Mapping[str, Any], sockets: Sequence[socket.socket]) -> Adopted:
        gateway, opening = self._gateway, described["opening"]
        service = self.services[described["service"]]
        route = plain.route_of(opening)
        pipeline = gateway.served.get(route.pipeline)
        listener = gateway.listeners.get(route.server)
        if route.key not in self._keys or pipeline is None or listener is None:
            raise EasewsError(GONE)
        route = route._replace(trusted_proxies=listener.site.spec.trusted_proxies)
        ended = listener.adopt(sockets[0], opening["client"])
        pipeline.hold()

        def release() -> None:
            pipeline.release()
            ended()

        connection = Connection(
            sockets[0],
            plain.opening_read(opening, route, gateway.generation),
            sessions=gateway.sessions,
            release=release,
        )
        try:
            session = service.adopt(Packed(described["state"], sockets), connection)
        except BaseException:
            release()
            raise
        return Adopted(session, service, connection)


def _sockets(fds: Iterator[int], count: int) -> Iterator[socket.socket]:
    for _ in range(count):
        sock = socket.socket(fileno=next(fds))
        sock.setblocking(False)
        yield sock


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
