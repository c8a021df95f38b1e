"""What a gateway has done and is doing, as figures for Prometheus.

`measuring` attaches what counts to a gateway. Without it nothing is counted. What the gateway
knows anyway, such as the traffic of open sessions and the health of servers, is read when somebody
asks.
"""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib import metadata
from typing import get_args

import anyio
from anyio.lowlevel import checkpoint

from ..observe.metrics import catalogue, looplag
from ..observe.metrics.catalogue import Figures, Labels
from ..observe.metrics.exposition import exposed, process_figures
from ..observe.metrics.requests import RequestCounts
from ..observe.metrics.sessions import OpenSessions, SessionCounts
from ..observe.metrics.ways import Way
from .control import State
from .hooktotals import HookTotals
from .poolfigures import pool_figures
from .serving.gateway import Gateway

_STATES: tuple[State, ...] = get_args(State)
#: How many sessions are read before the event loop gets its turn: some 2 microseconds each.
SESSIONS_PER_TURN = 250


class Metrics:
    """The figures of a gateway. `reloads` counts its reloads by their outcome."""

    def __init__(self, gateway: Gateway, reloads: Mapping[str, int]) -> None:
        self._gateway = gateway
        self._reloads = reloads
        self._sessions = SessionCounts()
        self._requests = RequestCounts()
        self._hooks = HookTotals()
        self._lag = looplag.loop_lag()
        self._exposing = anyio.Lock()
        self._generation = 0

    async def expose(self) -> bytes:
        """The figures as OpenMetrics text. One call at a time: others wait for it."""
        async with self._exposing:
            self._forget_routes()
            present = OpenSessions(self._sessions)
            for number, session in enumerate(self._gateway.sessions, 1):
                present.add(session)
                if number % SESSIONS_PER_TURN == 0:
                    await checkpoint()
            return await exposed(self._figures(present))

    def attach(self) -> None:
        """Count from now on. Sessions that are open already have opened."""
        gateway = self._gateway
        for session in gateway.sessions:
            self._sessions.opened(session)
        gateway.sessions.on_open.append(self._sessions.opened)
        gateway.sessions.on_end.append(self._sessions.ended)
        gateway.on_request.append(self._requests.request)

    def detach(self) -> None:
        """Count no more."""
        gateway = self._gateway
        gateway.sessions.on_open.remove(self._sessions.opened)
        gateway.sessions.on_end.remove(self._sessions.ended)
        gateway.on_request.remove(self._requests.request)

    async def measure_lag(self) -> None:
        """Measure how late the event loop is, until cancelled."""
        await looplag.measure(self._lag)

    def _forget_routes(self) -> None:
        """After a reload: those that are gone, if there are many."""
        if self._generation != self._gateway.generation:
            self._generation = self._gateway.generation
            served = set(_ways(self._gateway))
            self._sessions.ways.forget(served)
            self._requests.ways.forget(served)

    def _figures(self, present: OpenSessions) -> Iterator[Figures]:
        gateway = self._gateway
        release = (metadata.version("easews"), platform.python_version())
        yield catalogue.BUILD, [(release, 1)]
        yield catalogue.STATE, [((state,), int(state == gateway.state)) for state in _STATES]
        yield from self._sessions.figures(present)
        yield catalogue.SESSIONS_DRAINING, [((), gateway.draining)]
        yield from _connections(gateway)
        yield from self._requests.figures()
        yield from pool_figures(gateway.owners())
        yield from self._hooks.figures(gateway.pipelines)
        yield from _tls(gateway)
        yield from self._config()
        yield catalogue.LOOP_LAG, [((), self._lag)]
        yield from process_figures()

    def _config(self) -> Iterator[Figures]:
        yield catalogue.RELOADS, [((outcome,), n) for outcome, n in self._reloads.items()]
        yield catalogue.GENERATION, [((), self._gateway.generation)]
        yield catalogue.OLDER_GENERATIONS, [((), len(self._gateway.older))]


@asynccontextmanager
async def measuring(gateway: Gateway, reloads: Mapping[str, int]) -> AsyncIterator[Metrics]:
    """Count and measure what `gateway` does while the block runs. `reloads` is that of
    `Reloader`.
    """
    metrics = Metrics(gateway, reloads)
    metrics.attach()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(metrics.measure_lag)
            yield metrics
            tasks.cancel_scope.cancel()
    finally:
        metrics.detach()


def _ways(gateway: Gateway) -> Iterator[Way]:
    """All that a request may take, and that of one which took none."""
    for server in gateway.config.servers:
        yield server.name, ""
        for rule in server.rules:
            for path in rule.paths:
                yield server.name, path.path or path.path_prefix or path.path_regexp or ""


def _connections(gateway: Gateway) -> Iterator[Figures]:
    listeners = gateway.listeners.items()
    yield catalogue.CONNECTIONS, [((name,), listener.open) for name, listener in listeners]
    most = [((spec.name,), spec.max_connections) for spec in gateway.config.servers]
    yield catalogue.CONNECTIONS_MAX, most


def _tls(gateway: Gateway) -> Iterator[Figures]:
    counts = ((name, tls.handshakes.counts.items()) for name, tls in gateway.tls.items())
    yield catalogue.TLS_HANDSHAKES, [((name, it), n) for name, has in counts for it, n in has]
    expiry: dict[Labels, float] = {}
    for name, tls in gateway.tls.items():
        for pair in tls.pairs:
            first, until = (name, next(iter(pair.names), "")), pair.not_after.timestamp()
            expiry[first] = min(until, expiry.get(first, until))
    yield catalogue.CERTIFICATE_EXPIRY, expiry.items()
