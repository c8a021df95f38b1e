"""A config being served: services, filters and listeners, started and stopped in order.

    services        the plugins' process-wide services, each in a task of its own
    generation      the config's filters and pipelines
    listeners       one for each HTTPServer

They start in this order and stop in the opposite one. `replace` puts another config in the place
of the one that is served; sessions go on.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from time import time
from typing import NamedTuple

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup, TaskStatus

from ..config.model import Config, Drain, ServerSpec, TlsSpec
from ..errors import EasewsError
from ..filters import Context
from ..observe.accesslog import AccessLog, OnRequest
from ..observe.formatted import FormattedAccessLog
from ..owners import Owner
from ..pipeline import Generation, Pipeline, ServedPipeline
from ..server import ClientWatch, Listener, RequestIds, Router, ServerTls, Share, Site, bind
from ..server.passed import NONE_PASSED, Passed
from ..services import Services
from ..sessions import Session, Sessions
from ..upstream import running_pools
from ..upstream.drained import drain, drain_only, identity_of, is_drained, undrain
from .changes import listed
from .control import Refused, State
from .draining import Draining
from .reload import Plan, plan
from .renewal import renew

Sockets = Mapping[str, list[socket.socket]]

#: How many older generations may have sessions. Those of the oldest are drained when there are
#: more: each keeps its filters, with what they hold in memory and in the background.
MOST_OLDER = 10
_LOST, _TOO_OLD = "its path is gone", "its config is too old"
_SERVER_DRAINED = "its server is drained"
_STOPPING = "the gateway is stopping"


class Unfinished(NamedTuple):
    """How many sessions are open, and how many requests are in progress."""

    sessions: int
    requests: int


def bind_all(
    servers: Iterable[ServerSpec], passed: Passed = NONE_PASSED
) -> dict[str, list[socket.socket]]:
    """The listening sockets of every server, passed ones where they fit. ListenError when one
    cannot be had.
    """
    sockets: dict[str, list[socket.socket]] = {}
    try:
        for spec in servers:
            sockets[spec.name] = bind(spec, passed)
    except BaseException:
        close_all(sockets)
        raise
    return sockets


def _routers(config: Config) -> dict[str, Router]:
    return {spec.name: Router(spec) for spec in config.servers}


def close_all(sockets: Sockets) -> None:
    for sock in [sock for socks in sockets.values() for sock in socks]:
        sock.close()


def _is_at_drained(session: Session) -> bool:
    return is_drained(session.opening.backend)


class _Prepared(NamedTuple):
    """What a config needs besides its filters, made in a thread: it may be large."""

    plan: Plan
    routers: Mapping[str, Router]
    tls: dict[str, ServerTls]


class Gateway:
    """A config being served on sockets that are already bound, by the name of their server.

    With a `share` this is one of several workers. `number` is that of the first generation. Of
    `passed` are those that servers of later configs may listen on.

    state       what it is at
    made        when it was made, by `time.time`
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
        self.made: float = time()
        self.config: Config = config
        self.services: Services = Services()
        self.sessions: Sessions = Sessions()
        self.listeners: dict[str, Listener] = {}
        self.beside: list[Listener] = []
        self._sockets = sockets
        self._share = share
        self._passed = passed
        self._generation = Generation(config, number=number)
        self._retired: list[Generation] = []
        self._plan: Plan | None = None
        self._tls: dict[str, ServerTls] = {}
        self.on_begin: list[Callable[[Context], None]] = []
        self.on_request: list[OnRequest] = []
        self._access = AccessLog(self.on_request)
        self._ids = RequestIds()
        self.drain: Drain = config.gateway.drain
        self._replacing = anyio.Lock()
        self._lives: TaskGroup  # of services and filters
        self._tasks: TaskGroup  # of listeners, and of what is drained
        self._draining: Draining
        self.sessions.on_open.append(self._session_opened)
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
                routers, self._tls = _routers(self.config), self._tls_of(self.config)
                await self._start(self._generation)
            except EasewsError as error:  # raised below: a task group would wrap it up
                failure = error
                close_all(self._sockets)
            else:
                async with anyio.create_task_group() as self._tasks:
                    self._draining = Draining(self.sessions, self._tasks)
                    self._tasks.start_soon(renew, lambda: self._tls.values())
                    for spec in self.config.servers:
                        self._listen(self._site(spec, routers), self._sockets[spec.name])
                    self.state = "ready"
                    try:
                        yield
                    finally:
                        self.state = "stopping"
                        self._tasks.cancel_scope.cancel()
            finally:
                services.cancel()  # they cut what is still open, which lets go of the filters
                for generation in (*self._retired, self._generation):
                    generation.abandon()
        if failure is not None:
            raise failure

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
            prepared = await to_thread.run_sync(self._prepare, config)
            if not prepared.plan.changes:
                close_all(opened or {})
                return prepared.plan
            sockets = bind_all(prepared.plan.opens, self._passed) if opened is None else opened
            generation = Generation(config, self._generation, number)
            try:
                await self._start(generation)
            except BaseException:
                close_all(sockets)
                raise
            if not self.ready:
                generation.retire(self._generation)
            self._require_ready(sockets)
            self._swap(generation, prepared, sockets)
            self._drain_old()
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
        for listener in self.listeners.values():
            listener.stop_accepting()
        await self._draining.finish(self.drain, _STOPPING)
        self._generation.retire()
        with anyio.move_on_after(self.drain.deadline):
            for generation in (*self._retired, self._generation):
                await generation.wait_unused()
        return self.unfinished

    def drain_server(self, url: str) -> int:
        """Send nothing new to the server at `url`, under this config and later ones, and close its
        sessions slowly. Returns how many these are. Refused when no pool has such a server.
        """
        identity = identity_of(url)
        pools = [running.pool for running in running_pools(self.owners(older=True))]
        known = {server.url for pool in pools for server in pool.states()}
        if identity not in map(identity_of, known):
            there_are = listed(sorted(known), 5, ", ") or "none"
            raise Refused(f"no pool has the server {url}; those that there are: {there_are}")
        drain(url)
        chosen = [one for one in self.sessions if identity_of(one.opening.backend) == identity]
        self._draining.begin(chosen, self.drain, _SERVER_DRAINED, _is_at_drained)
        return len(chosen)

    def drain_servers(self, identities: Iterable[str]) -> None:
        """Drain the servers with these `Server.identity`, and no others."""
        if drain_only(identities):
            chosen = [session for session in self.sessions if _is_at_drained(session)]
            self._draining.begin(chosen, self.drain, _SERVER_DRAINED, _is_at_drained)

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
        uses = sum(generation.uses for generation in (*self._retired, self._generation))
        return Unfinished(sessions, max(uses - sessions, 0))

    @property
    def generation(self) -> int:
        """How many configs have been served."""
        return self._generation.number

    @property
    def older(self) -> dict[int, int]:
        """The older generations that are in use, and how many sessions each has."""
        self._retired = [past for past in self._retired if past.in_use]
        openings = [session.opening for session in self.sessions]
        return {past.number: sum(map(past.opened, openings)) for past in self._retired}

    @property
    def draining(self) -> int:
        """How many sessions wait for their Close."""
        return len(self._draining)

    @property
    def tls(self) -> Mapping[str, ServerTls]:
        """The certificates that are served, by the name of the server."""
        return self._tls

    @property
    def pipelines(self) -> list[Pipeline]:
        """The pipelines of the served config, and those that only older sessions have."""
        served = [
            pipeline
            for generation in (self._generation, *self._retired)
            for pipeline in generation.pipelines.values()
            if pipeline.in_use
        ]
        return [pipeline.flow for pipeline in dict.fromkeys(served)]

    def owners(self, *, older: bool = False) -> list[Owner]:
        """The filters of the served config, each with what it has entered, such as its pools.

        With `older`, those come behind that only sessions of older generations have.
        """
        served = dict.fromkeys(self._generation.owners)
        if older:
            for past in reversed(self._retired):
                served |= dict.fromkeys(past.owners)
        return list(served)

    def _require_ready(self, opened: Sockets | None) -> None:
        if not self.ready:
            close_all(opened or {})
            raise EasewsError(_STOPPING)

    @property
    def served(self) -> Mapping[str, ServedPipeline]:
        """The pipelines of the served config, by name."""
        return self._generation.pipelines

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """No other config is served while the block runs."""
        async with self._replacing:
            yield

    async def _start(self, generation: Generation) -> None:
        entries = [entry for spec in generation.config.pipelines for entry in spec.filters]
        wanted = [service for entry in entries for service in entry.kind.filter_class.services]
        await self.services.ensure([ClientWatch, *wanted])
        await generation.start(self._lives)

    def _prepare(self, config: Config) -> _Prepared:
        return _Prepared(plan(self.config, config), _routers(config), self._tls_of(config))

    def _swap(self, generation: Generation, prepared: _Prepared, sockets: Sockets) -> None:
        """From here on requests see the new generation. Nothing waits in between."""
        changes, routers, self._tls = prepared
        self._plan = changes
        old, self._generation = self._generation, generation
        self.config = generation.config
        self.drain = self.config.gateway.drain
        before, self.listeners = self.listeners, {}
        for spec in self.config.servers:
            if spec.name in changes.keeps:
                listener = self.listeners[spec.name] = before[changes.keeps[spec.name]]
                listener.serve_from_now_on(self._site(spec, routers))
            else:
                self._listen(self._site(spec, routers), sockets[spec.name])
        for name in changes.closes:
            before[name].stop_accepting()
        old.retire(generation)
        self._retired = [past for past in (*self._retired, old) if past.in_use]

    def _listen(self, site: Site, sockets: list[socket.socket]) -> None:
        listener = self.listeners[site.spec.name] = Listener(sockets, site, self._share)
        self._tasks.start_soon(listener.serve)

    def _site(self, spec: ServerSpec, routers: Mapping[str, Router]) -> Site:
        form = spec.access_log_format
        access = FormattedAccessLog(form, self.on_request) if form else self._access
        return Site(
            *(spec, self._generation, self.services, self.sessions, access, self._ids),
            router=routers[spec.name],
            tls=self._tls.get(spec.name),
            on_begin=self.on_begin,
        )

    def _tls_of(self, config: Config) -> dict[str, ServerTls]:
        """TLS for the servers that have it. What has not changed stays, with its tickets."""
        return {
            spec.name: self._server_tls(spec.name, spec.tls) for spec in config.servers if spec.tls
        }

    def _server_tls(self, name: str, spec: TlsSpec) -> ServerTls:
        before = self._tls.get(name)
        if before is None:
            return ServerTls(name, spec)
        if before.spec == spec:
            return before
        changed = ServerTls(name, spec)
        changed.handshakes.counts = before.handshakes.counts
        return changed

    def _is_lost(self, session: Session) -> bool:
        return self._plan is not None and self._plan.drops(session.opening.route)

    def _session_opened(self, session: Session) -> None:
        """While it was asking its backend, that may have been drained, a stop may have begun, or
        its path may have gone.
        """
        if self.state == "stopping":
            self._draining.finish_late(session, self.drain, _STOPPING)
        elif _is_at_drained(session):
            self._draining.begin([session], self.drain, _SERVER_DRAINED, _is_at_drained)
        elif session.opening.generation != self._generation.number and self._is_lost(session):
            self._draining.begin([session], self.drain, _LOST, self._is_lost)

    def _drain_old(self) -> None:
        lost = [session for session in self.sessions if self._is_lost(session)]
        self._draining.begin(lost, self.drain, _LOST, self._is_lost)
        for past in self._retired[:-MOST_OLDER]:
            old = [session for session in self.sessions if past.opened(session.opening)]
            self._draining.begin(old, self.drain, _TOO_OLD)

    async def _host_services(self, *, task_status: TaskStatus[anyio.CancelScope]) -> None:
        async with anyio.create_task_group() as tasks:
            self.services.run_in(tasks)
            task_status.started(tasks.cancel_scope)
            await anyio.sleep_forever()
