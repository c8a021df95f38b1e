"""Services: what a plugin keeps for the whole life of the process.

A filter instance lives as long as a config names it. A service (a relay, a connection pool, a
metrics sink) lives as long as the process. A filter class names the services that it uses in
`Filter.services`, a service names those that it uses in `Service.needs`. The engine makes one
instance of each, runs it in a task of its own before any filter that uses it is entered, and
stops them all after the last session has ended.

A service that relays sessions may hand them over to the process that follows this one, when
easews is upgraded. It sets `Service.state_version`, and implements four methods:

    old process                     new process
    pack    writes it down
                                    adopt   makes the same session again
    forget  lets go of it           resume  relays it

Should the new process fail before it has said that it has the session, the old one calls `resume`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from socket import socket
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

from anyio.abc import TaskGroup, TaskStatus

from .sessions import Connection, Session

S = TypeVar("S", bound="Service")


class Packed(NamedTuple):
    """A session on its way to another process.

    state    what the service knows of it, in what JSON has
    sockets  its connections; the client's is the first one
    """

    state: Mapping[str, Any]
    sockets: Sequence[socket]


class Service:
    """Base class of services.

    needs          the services that this one uses; they run before it is made
    state_version  the version of what `pack` writes: sessions are handed over only to a service
                   with the same one. 0: none are

    An instance is made inside the event loop.
    """

    needs: ClassVar[Sequence[type[Service]]] = ()
    state_version: ClassVar[int] = 0

    def __init__(self, services: Services) -> None:
        """`services` has the running services, among them those in `needs`."""

    async def serve(self, ready: Callable[[], None]) -> None:
        """Run until cancelled. Call `ready` once filters may use this service.

        An exception, or a return, ends the process.
        """
        raise NotImplementedError

    def pack(self, session: Session) -> Packed | None:
        """Write down a session, and stop relaying it; None when it is not one of this service, or
        cannot be written down.

        From here on nothing may be read from its sockets, nor be written to them, and no poller of
        this process may have them. They stay open. `forget` or `resume` follows.
        """
        return None

    def adopt(self, packed: Packed, connection: Connection) -> Session:
        """Make the session that was packed; its sockets are this service's from here on.

        `connection.opening` is what is known of it. The sockets are not to be used yet: `resume`
        follows. When this raises, the session stays in the process that has packed it.
        """
        raise NotImplementedError

    def resume(self, session: Session) -> None:
        """Relay a session that was packed or adopted: here, from now on."""
        raise NotImplementedError

    def forget(self, session: Session) -> None:
        """The session that was packed is another process's now. Close the sockets, which does not
        end the connections, and call `Connection.forget`.
        """
        raise NotImplementedError


class Services:
    """The running services, looked up by class: `services[Relay]` is the relay.

    A test may put a fake in the place of one: ``Services({Relay: FakeRelay()})``.
    """

    def __init__(self, running: dict[type[Service], object] | None = None) -> None:
        self._running: dict[type[Service], object] = {} if running is None else running
        self._tasks: TaskGroup | None = None

    def __getitem__(self, service: type[S]) -> S:
        """The running service of this class. LookupError when no filter has asked for it."""
        try:
            return cast(S, self._running[service])
        except KeyError:
            raise LookupError(
                f"{service.__name__} is not running: a filter that uses it names it in "
                "`services`, another service in `needs`"
            ) from None

    def __iter__(self) -> Iterator[object]:
        return iter(self._running.values())

    def run_in(self, tasks: TaskGroup) -> None:
        """Start services in `tasks` from now on. For the engine."""
        self._tasks = tasks

    async def ensure(self, classes: Iterable[type[Service]]) -> None:
        """Start those of `classes` that do not run yet, each after those that it needs.

        Returns when all are ready. Raises what a service raises before it is ready, and
        ValueError when services need each other in a circle.
        """
        for service in classes:
            await self._ensure(service, ())

    async def _ensure(self, service: type[Service], needed_by: Sequence[type[Service]]) -> None:
        if service in self._running:
            return
        chain = (*needed_by, service)
        if service in needed_by:
            names = ", ".join(link.__name__ for link in chain)
            raise ValueError(f"{service.__name__} needs itself: {names}")
        for other in service.needs:
            await self._ensure(other, chain)
        await self._start(service)

    async def _start(self, service: type[Service]) -> None:
        if self._tasks is None:
            raise RuntimeError("services can only be started while a gateway is serving")
        made = service(self)
        await self._tasks.start(_run, made)
        self._running[service] = made


async def _run(service: Service, *, task_status: TaskStatus[None]) -> None:
    await service.serve(task_status.started)
    raise RuntimeError(f"the service {type(service).__name__} has ended by itself")
