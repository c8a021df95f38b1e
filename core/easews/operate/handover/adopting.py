"""Sessions of another process made again in this one."""

from __future__ import annotations

import logging
import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import EasewsError
from ...services import Packed, Service
from ...sessions import Connection, Session
from ...upstream import Attempt, Pool, running_pools
from ..serving.gateway import Gateway
from . import plain
from .protocol import Message

log: logging.Logger = logging.getLogger("easews")

GONE = "its path is gone"


class Adopted:
    """A session of the old process, made again here."""

    def __init__(self, session: Session, service: Service, connection: Connection) -> None:
        self.session = session
        self.service = service
        self.connection = connection


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
            it.connection.use(self._attempt(session))
            it.service.resume(session)

    def _attempt(self, session: Session) -> Attempt | None:
        """That of the pool which has its server, else of the first one that expects it."""
        own = self._pools[session.opening.route.pipeline]
        for find in (Pool.adopt, Pool.expect):
            for pool in own:
                if (attempt := find(pool, session)) is not None:
                    return attempt
        return None

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
