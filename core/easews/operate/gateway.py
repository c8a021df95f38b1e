"""A config being served: services, filters and listeners, started and stopped in order.

    services        the plugins' process-wide services, each in a task of its own
    generation      the config's filters and pipelines
    listeners       one for each HTTPServer

They start in this order and stop in the opposite one. `replace` puts another config in the place
of the one that is served; sessions go on.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ..config.model import Config, Drain, ServerSpec
from ..errors import EasewsError
from ..observe.accesslog import AccessLog
from ..observe.formatted import FormattedAccessLog
from ..pipeline import Generation
from ..server import ClientWatch, Listener, RequestIds, ServerTls, Site, bind
from ..services import Services
from ..sessions import Session, Sessions
from .drain import schedule
from .reload import Plan, plan
from .renewal import renew

Sockets = Mapping[str, list[socket.socket]]


def bind_all(servers: Iterable[ServerSpec]) -> dict[str, list[socket.socket]]:
    """The listening sockets of every server. ListenError when one cannot be had."""
    sockets: dict[str, list[socket.socket]] = {}
    try:
        for spec in servers:
            sockets[spec.name] = bind(spec)
    except BaseException:
        _close_all(sockets)
        raise
    return sockets


def _close_all(sockets: Sockets) -> None:
    for sock in [sock for socks in sockets.values() for sock in socks]:
        sock.close()


class Gateway:
    """A config being served on sockets that are already bound, by the name of their server."""

    def __init__(self, config: Config, sockets: Sockets) -> None:
        self.config: Config = config
        self.services: Services = Services()
        self.sessions: Sessions = Sessions()
        self.listeners: dict[str, Listener] = {}
        self._sockets = sockets
        self._generation = Generation(config)
        self._retired: list[Generation] = []
        self._tls: dict[str, ServerTls] = {}
        self._access = AccessLog()
        self._ids = RequestIds()
        self.drain: Drain = config.gateway.drain
        self._replacing = anyio.Lock()
        self._lives: TaskGroup  # of services and filters
        self._tasks: TaskGroup  # of listeners, and of what is drained
        self.sessions.on_end.append(self._access.session_ended)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs; leaving it ends at once what `stop` has not ended.

        FilterError when a filter cannot start, CertificateError when a certificate cannot be used.
        """
        failure: EasewsError | None = None
        async with anyio.create_task_group() as self._lives:
            services: anyio.CancelScope = await self._lives.start(self._host_services)
            try:
                self._tls = self._tls_of(self.config)
                await self._start(self._generation)
            except EasewsError as error:  # raised below: a task group would wrap it up
                failure = error
                _close_all(self._sockets)
            else:
                async with anyio.create_task_group() as self._tasks:
                    self._tasks.start_soon(renew, lambda: self._tls.values())
                    for spec in self.config.servers:
                        self._listen(spec, self._sockets[spec.name])
                    try:
                        yield
                    finally:
                        self._tasks.cancel_scope.cancel()
            finally:
                services.cancel()  # they cut what is still open, which lets go of the filters
                for generation in (*self._retired, self._generation):
                    generation.abandon()
        if failure is not None:
            raise failure

    async def replace(self, config: Config) -> Plan:
        """Serve `config` from now on; returns what that has changed.

        Sessions stay with the filters that they were opened by. Those whose path or pipeline is
        gone are drained. When this raises an EasewsError, nothing has changed.
        """
        async with self._replacing:
            changes = plan(self.config, config)
            tls = self._tls_of(config)
            sockets = bind_all(changes.opens)
            generation = Generation(config, self._generation)
            try:
                await self._start(generation)
            except BaseException:
                _close_all(sockets)
                raise
            self._tls = tls
            self._swap(generation, changes, sockets)
        lost = [session for session in self.sessions if changes.drops(session.opening.route)]
        self._tasks.start_soon(self._close_slowly, lost, "its path is gone")
        return changes

    async def stop(self) -> None:
        """Close every session, let requests end, and wait for both, up to the drain's deadline."""
        for listener in self.listeners.values():
            listener.stop_accepting()
        for session in self.sessions:
            session.close(self.drain.code, "the gateway is stopping")
        self._generation.retire()
        with anyio.move_on_after(self.drain.deadline):
            for generation in (*self._retired, self._generation):
                await generation.wait_unused()

    @property
    def tls(self) -> Mapping[str, ServerTls]:
        """The certificates that are served, by the name of the server."""
        return self._tls

    async def _start(self, generation: Generation) -> None:
        entries = [entry for spec in generation.config.pipelines for entry in spec.filters]
        wanted = [service for entry in entries for service in entry.kind.filter_class.services]
        await self.services.ensure([ClientWatch, *wanted])
        await generation.start(self._lives)

    def _swap(self, generation: Generation, changes: Plan, sockets: Sockets) -> None:
        """From here on requests see the new generation. Nothing waits in between."""
        old, self._generation = self._generation, generation
        self.config = generation.config
        self.drain = self.config.gateway.drain
        before, self.listeners = self.listeners, {}
        for spec in self.config.servers:
            if spec.name in changes.keeps:
                listener = self.listeners[spec.name] = before[changes.keeps[spec.name]]
                listener.site = self._site(spec)
            else:
                self._listen(spec, sockets[spec.name])
        for name in changes.closes:
            before[name].stop_accepting()
        old.retire()
        self._retired = [past for past in (*self._retired, old) if past.in_use]

    def _listen(self, spec: ServerSpec, sockets: list[socket.socket]) -> None:
        listener = self.listeners[spec.name] = Listener(sockets, self._site(spec))
        self._tasks.start_soon(listener.serve)

    def _site(self, spec: ServerSpec) -> Site:
        form = spec.access_log_format
        access = FormattedAccessLog(form) if form else self._access
        return Site(
            *(spec, self._generation, self.services, self.sessions, access, self._ids),
            tls=self._tls.get(spec.name),
        )

    def _tls_of(self, config: Config) -> dict[str, ServerTls]:
        """TLS for the servers that have it. What has not changed stays, with its tickets."""
        before = {it.name: it for it in self._tls.values()}
        return {
            spec.name: it
            if (it := before.get(spec.name)) and it.spec == spec.tls
            else ServerTls(spec.name, spec.tls)
            for spec in config.servers
            if spec.tls is not None
        }

    async def _close_slowly(self, sessions: list[Session], reason: str) -> None:
        now = anyio.current_time()
        for session, after in zip(
            sessions, schedule(len(sessions), self.drain.window), strict=True
        ):
            await anyio.sleep_until(now + after)
            session.close(self.drain.code, reason)

    async def _host_services(self, *, task_status: TaskStatus[anyio.CancelScope]) -> None:
        async with anyio.create_task_group() as tasks:
            self.services.run_in(tasks)
            task_status.started(tasks.cancel_scope)
            await anyio.sleep_forever()
