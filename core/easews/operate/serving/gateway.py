"""A config being served: services, filters and listeners, started and stopped in order.

    services        the plugins' process-wide services, each in a task of its own
    generation      the config's filters and pipelines
    listeners       one for each HTTPServer

They start in this order and stop in the opposite one. `replace` puts another config in the place
of the one that is served; sessions go on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup, TaskStatus

from ...config.model import Config, Drain
from ...errors import EasewsError
from ...filters import Context
from ...observe.accesslog import OnRequest
from ...owners import Owner
from ...pipeline import Generation, Pipeline, ServedPipeline
from ...server import ClientWatch, Listener, ServerTls, Share
from ...server.passed import NONE_PASSED, Passed
from ...services import Services
from ...sessions import Session, Sessions
from ...upstream.drained import undrain
from ..control import State
from .binding import Sockets, bind_all, close_all
from .draining import Draining
from .eviction import Eviction
from .generations import Generations
from .listening import Listening
from .moving import Moving
from .preparing import Prepared, prepare
from .reload import Plan
from .renewal import renew
from .taskgroups import open_task_group

_STOPPING = "the gateway is stopping"


class Unfinished(NamedTuple):
    """How many sessions are open, and how many requests are in progress."""

    sessions: int
    requests: int


class Gateway:
    """A config being served on sockets that are already bound, by the name of their server.

    With a `share` this is one of several workers. `number` is that of the first generation. Of
    `passed` are those that servers of later configs may listen on.

    state       what it is at
    moving      whether sessions move from or to another process
    has_moved   whether another process serves in place of this one
    on_begin    functions that are called with the context of each request before its pipeline runs
    beside      listeners of companions, as that of the admin interface; an upgrade hands them over
    on_request  functions that are called with each request that is over, as the access log is
    """

    def __init__(
        self,
        config: Config,
        sockets: Sockets,
        share: Share | None = None,
        number: int = 1,
        passed: Passed = NONE_PASSED,
    ) -> None:
        self.state: State = "starting"
        self.moving: Moving = Moving()
        self.has_moved: bool = False
        self.config: Config = config
        self.services: Services = Services()
        self.sessions: Sessions = Sessions()
        self.beside: list[Listener] = []
        self._sockets = sockets
        self._share = share
        self._passed = passed
        self._generations = Generations(Generation(config, number=number))
        self._listening = Listening(self.services, self.sessions, share)
        self.on_begin: list[Callable[[Context], None]] = self._listening.on_begin
        self.on_request: list[OnRequest] = self._listening.on_request
        self.drain: Drain = config.gateway.drain
        self._replacing = anyio.Lock()
        self._lives: TaskGroup  # of services and filters
        self._tasks: TaskGroup  # of listeners, and of what is drained
        self._draining: Draining
        self._eviction: Eviction
        self.sessions.on_open.append(self._session_opened)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs; leaving it ends at once what `stop` has not ended.

        FilterError when a filter cannot start, CertificateError when a certificate cannot be used.
        """
        async with open_task_group() as self._lives:
            services: anyio.CancelScope = await self._lives.start(self._host_services)
            try:
                prepared = await self._begin()
                async with anyio.create_task_group() as self._tasks:
                    self._draining = Draining(self.sessions, self._tasks)
                    self._eviction = Eviction(self.sessions, self._generations, self._draining)
                    self._tasks.start_soon(renew, lambda: self.tls.values())
                    served = self._generations.served
                    self._listening.serve(served, prepared, self._sockets, self._tasks)
                    self.state = "ready"
                    try:
                        yield
                    finally:
                        self.state = "stopping"
                        self._tasks.cancel_scope.cancel()
            finally:
                services.cancel()  # they cut what is still open, which lets go of the filters
                self._generations.abandon()

    async def _begin(self) -> Prepared:
        """Start the filters of the first config; what else it takes to serve it."""
        nothing = Config((), (), self.config.gateway)
        try:
            prepared = prepare(nothing, self.config, {})
            await self._start(self._generations.served)
        except EasewsError:
            close_all(self._sockets)
            raise
        return prepared

    async def replace(self, config: Config, opened: Sockets | None = None, number: int = 0) -> Plan:
        """Serve `config` from now on; returns what that has changed.

        `opened` are the sockets of the servers that listen somewhere new; without it they are
        bound here. `number` is that of the new generation; without it they are counted.

        Sessions stay with the filters that they were opened by. Those whose path or pipeline is
        gone are drained, and those of the oldest generation when too many are in use. When this
        raises an EasewsError, as it does during a stop, or is cancelled, nothing has changed.
        """
        async with self._replacing:
            self._require_ready(opened)
            prepared = await to_thread.run_sync(prepare, self.config, config, self.tls)
            if not prepared.plan.changes:
                close_all(opened or {})
                return prepared.plan
            sockets = bind_all(prepared.plan.opens, self._passed) if opened is None else opened
            generation = Generation(config, self._generations.served, number)
            try:
                await self._start(generation)
            except BaseException:
                close_all(sockets)
                raise
            if not self.ready:
                generation.retire(self._generations.served)
            self._require_ready(sockets)
            self._generations.replace(generation)
            self.config = generation.config
            self.drain = self.config.gateway.drain
            self._listening.serve(generation, prepared, sockets, self._tasks)
            self._eviction.config_replaced(prepared.plan, self.drain)
        return prepared.plan

    async def stop(self) -> Unfinished:
        """Come to an end: serve on for the drain's delay, then accept nothing more, close every
        session, and wait until they and the requests in progress have ended, up to the drain's
        deadline. Returns what has not ended by then, and has to be cut.
        """
        self.state = "draining"
        await anyio.sleep(self.drain.delay)
        self.state = "stopping"
        if self._share is not None:
            self._share.leave()
        self._listening.stop_accepting()
        await self._draining.finish(self.drain, _STOPPING)
        with anyio.move_on_after(self.drain.deadline):
            await self._generations.finish()
        return self.unfinished

    def drain_server(self, url: str) -> int:
        """Send nothing new to the server at `url`, under this config and later ones, and close its
        sessions slowly. Returns how many these are. Refused when no pool has such a server.
        """
        return self._eviction.drain_server(url, self.drain)

    def drain_servers(self, identities: Iterable[str]) -> None:
        """Drain the servers with these `Server.identity`, and no others."""
        self._eviction.drain_servers(identities, self.drain)

    def undrain_server(self, url: str) -> bool:
        """Send requests to it again; its sessions that have got no Close yet stay. False when it
        was not drained.
        """
        return undrain(url)

    @property
    def ready(self) -> bool:
        """Whether it serves, and is to get new clients."""
        return self.state == "ready"

    @property
    def unfinished(self) -> Unfinished:
        """What has not ended yet."""
        sessions = len(self.sessions)
        return Unfinished(sessions, max(self._generations.uses - sessions, 0))

    @property
    def generation(self) -> int:
        """How many configs have been served."""
        return self._generations.served.number

    @property
    def older(self) -> dict[int, int]:
        """The older generations that are in use, and how many sessions each has."""
        return self._generations.opened_by_older(self.sessions)

    @property
    def draining(self) -> int:
        """How many sessions wait for their Close."""
        return len(self._draining)

    @property
    def listeners(self) -> Mapping[str, Listener]:
        """What listens, by the name of the server."""
        return self._listening.listeners

    @property
    def tls(self) -> Mapping[str, ServerTls]:
        """The certificates that are served, by the name of the server."""
        return self._listening.tls

    @property
    def pipelines(self) -> list[Pipeline]:
        """The pipelines of the served config, and those that only older sessions have."""
        return self._generations.pipelines

    def owners(self, *, older: bool = False) -> list[Owner]:
        """The filters of the served config, each with what it has entered, such as its pools.

        With `older`, those come behind that only sessions of older generations have.
        """
        return self._generations.owners(older=older)

    @property
    def served(self) -> Mapping[str, ServedPipeline]:
        """The pipelines of the served config, by name."""
        return self._generations.served.pipelines

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """No other config is served while the block runs."""
        async with self._replacing:
            yield

    def leave(self) -> None:
        """Serve no other config from now on: another process serves."""
        self.state = "draining"
        if self._share is not None:
            self._share.leave()

    def _require_ready(self, opened: Sockets | None) -> None:
        if not self.ready:
            close_all(opened or {})
            raise EasewsError(_STOPPING)

    async def _start(self, generation: Generation) -> None:
        entries = [entry for spec in generation.config.pipelines for entry in spec.filters]
        wanted = [service for entry in entries for service in entry.kind.filter_class.services]
        await self.services.ensure([ClientWatch, *wanted])
        await generation.start(self._lives)

    def _session_opened(self, session: Session) -> None:
        """While it was asking its backend, a stop may have begun, or it may have to go anyway."""
        if self.state == "stopping":
            self._draining.finish_late(session, self.drain, _STOPPING)
        else:
            self._eviction.session_opened(session, self.drain)

    async def _host_services(self, *, task_status: TaskStatus[anyio.CancelScope]) -> None:
        async with anyio.create_task_group() as tasks:
            self.services.run_in(tasks)
            task_status.started(tasks.cancel_scope)
            await anyio.sleep_forever()
