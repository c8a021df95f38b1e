"""A config being served: services, filters and listeners, started and stopped in order.

    services        the plugins' process-wide services, each in a task of its own
    generation      the config's filters and pipelines
    listeners       one for each HTTPServer

They start in this order and stop in the opposite one.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskStatus

from ..config.model import Config
from ..errors import EasewsError
from ..observe.accesslog import AccessLog
from ..pipeline.generation import Generation
from ..server import ClientWatch, Listener, Site, bind
from ..services import Service, Services
from ..sessions import Sessions

#: Seconds that open sessions and requests get to end when the process stops.
STOP_TIMEOUT = 5.0
GOING_AWAY = 1001


def bind_all(config: Config) -> dict[str, list[socket.socket]]:
    """The listening sockets of every server. ListenError when one cannot be had."""
    sockets: dict[str, list[socket.socket]] = {}
    try:
        for spec in config.servers:
            sockets[spec.name] = bind(spec)
    except BaseException:
        _close_all(sockets)
        raise
    return sockets


def _close_all(sockets: Mapping[str, list[socket.socket]]) -> None:
    for sock in [sock for socks in sockets.values() for sock in socks]:
        sock.close()


class Gateway:
    """A config being served on sockets that are already bound, by the name of their server."""

    def __init__(self, config: Config, sockets: Mapping[str, list[socket.socket]]) -> None:
        self._config = config
        self._sockets = sockets
        self._generation = Generation(config)
        self.sessions = Sessions()
        self.listeners: dict[str, Listener] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs; leaving it ends at once what `stop` has not ended.

        FilterError when a filter cannot start.
        """
        running = [service() for service in self._service_classes()]
        failure: EasewsError | None = None
        async with anyio.create_task_group() as tasks:
            stop_services: Callable[[], None] = await tasks.start(_run_services, running)
            try:
                await tasks.start(self._generation.run)
            except EasewsError as error:  # raised below: a task group would wrap it up
                failure = error
                _close_all(self._sockets)
            else:
                self._make_listeners(Services(running))
                for listener in self.listeners.values():
                    tasks.start_soon(listener.serve)
                try:
                    yield
                finally:
                    for listener in self.listeners.values():
                        listener.cut()
            finally:
                stop_services()  # they cut what is still open, which lets go of the filters
                self._generation.abandon()
        if failure is not None:
            raise failure

    async def stop(self) -> None:
        """Close every session with 1001, let requests end, and wait for both, up to 5 s."""
        for listener in self.listeners.values():
            listener.stop_accepting()
        for session in self.sessions:
            session.close(GOING_AWAY, "the gateway is stopping")
        self._generation.retire()
        with anyio.move_on_after(STOP_TIMEOUT):
            await self._generation.wait_unused()

    def _service_classes(self) -> Iterable[type[Service]]:
        """The server's own service, and those that the config's filters use, each once."""
        entries = [entry for spec in self._config.pipelines for entry in spec.filters]
        wanted = [service for entry in entries for service in entry.kind.filter_class.services]
        return dict.fromkeys([ClientWatch, *wanted])

    def _make_listeners(self, services: Services) -> None:
        access = AccessLog()
        self.sessions.on_end.append(access.session_ended)
        for spec in self._config.servers:
            site = Site(spec, self._generation, services, self.sessions, access)
            self.listeners[spec.name] = Listener(self._sockets[spec.name], site)


async def _run_services(
    running: Iterable[Service], *, task_status: TaskStatus[Callable[[], None]]
) -> None:
    """Run each in a task of its own; `started` hands over what stops them all."""
    async with anyio.create_task_group() as tasks:
        for service in running:
            await tasks.start(_run_service, service)
        task_status.started(tasks.cancel_scope.cancel)


async def _run_service(service: Service, *, task_status: TaskStatus[None]) -> None:
    await service.serve(task_status.started)
    raise RuntimeError(f"the service {type(service).__name__} has ended by itself")
