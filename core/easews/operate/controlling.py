"""`Control` over the gateway of this process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from importlib import metadata
from math import isinf
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from anyio.lowlevel import checkpoint

from ..messages import MAX_REASON, is_close_code
from ..sessions import Session
from ..upstream import RunningPool, running_pools
from .control import (
    NOT_OPEN,
    NotAvailable,
    PoolState,
    Query,
    Refused,
    ReloadResult,
    SessionPage,
    SessionState,
    State,
    Status,
    UpgradeResult,
    WorkerReplaced,
)
from .handover.upgrading import Upgrader
from .queries import chosen, has_condition, page
from .reloading import Reloader
from .serving.gateway import Gateway
from .tapping import tapped

if TYPE_CHECKING:
    from .metrics import Metrics  # with prometheus_client, which other gateways do not need

#: What the note of a filter that relays sessions begins with.
_RELAY = "relay: "
#: How many sessions are looked at before the event loop gets its turn: some 10 microseconds each.
_PER_TURN = 100


class Following(Protocol):
    """What takes over from another process. `kept_behind`: how many sessions are still there."""

    @property
    def kept_behind(self) -> int: ...


class GatewayControl:
    """The gateway of this process; `reloader` is the one that signals ask, too.

    `backend` is the event loop. `metrics` are those of the gateway, if it has any. `upgrader` is
    the one that signals ask; `follows` takes over from the process before this one, if any.
    """

    def __init__(
        self,
        gateway: Gateway,
        reloader: Reloader,
        backend: str = "asyncio",
        metrics: Metrics | None = None,
        upgrader: Upgrader | None = None,
        follows: Following | None = None,
    ) -> None:
        self._gateway = gateway
        self._reloader = reloader
        self._backend = backend
        self._metrics = metrics
        self._upgrader = upgrader
        self._follows = follows
        self._started = time.time()
        self._looking = anyio.Lock()

    async def state(self) -> State:
        """What the gateway is at."""
        return self._gateway.state

    async def status(self) -> Status:
        """The gateway as a whole."""
        gateway = self._gateway
        older = gateway.older.items()
        return {
            "version": metadata.version("easews"),
            "state": gateway.state,
            "ready": gateway.ready,
            "pid": os.getpid(),
            "started": self._started,
            "generation": gateway.generation,
            "older": [{"generation": number, "sessions": count} for number, count in older],
            "sessions": len(gateway.sessions),
            "draining": gateway.draining,
            "held": sum(session.held for session in gateway.sessions),
            "backend": self._backend,
            "relay": _relay(gateway),
            "listeners": [
                {"server": name, "address": str(address), "tls": name in gateway.tls}
                for name, listener in gateway.listeners.items()
                for address in listener.addresses
            ],
            "workers": [],
            "kept_behind": 0 if self._follows is None else self._follows.kept_behind,
        }

    async def config(self) -> list[object]:
        """The objects that are served, defaults filled in and secrets masked as ``***``."""
        objects: list[object] = json.loads(self._gateway.config.shown)
        return objects

    async def pools(self) -> list[PoolState]:
        """The pools of all filters, and the health of their servers."""
        now = time.time()
        return [pool_state(running, now) for running in running_pools(self._gateway.owners())]

    async def sessions(self, query: Query) -> SessionPage:
        """Some of the open sessions. One call at a time, so that others get their turn soon."""
        async with self._looking:
            return page([state async for state in self._chosen(query)], query)

    async def session(self, id: str) -> SessionState | None:
        """An open session; None when there is none with this id."""
        session = self._gateway.sessions.get(id)
        return None if session is None else state_of(session, time.time())

    async def close(self, query: Query, code: int, reason: str) -> int:
        """Have sessions closed, and return how many. Refused when the query has no condition."""
        if not has_condition(query):
            raise Refused("this would close all sessions: say which, such as by 'route'")
        if not is_close_code(code) or len(reason.encode()) > MAX_REASON:
            wrong = f"no Close can have this code, or a reason of more than {MAX_REASON} bytes"
            raise Refused(wrong)
        async with self._gateway.moving.at_rest():  # what is on its way cannot be closed
            self._require_in_charge()
            return await self._close(query, code, reason)

    async def _close(self, query: Query, code: int, reason: str) -> int:
        closed = 0
        async for state in self._chosen(query):
            session = self._gateway.sessions.get(state["id"])
            if session is not None:
                session.close(code, reason)
                closed += 1
        return closed

    def _require_in_charge(self) -> None:
        if self._gateway.has_moved:
            raise Refused("a new process has taken over meanwhile: ask again")

    async def ping(self, id: str) -> bool:
        """Ping both sides of a session; False when it is not open."""
        session = self._gateway.sessions.get(id)
        if session is not None:
            session.ping()
        return session is not None

    async def drain_server(self, url: str) -> int:
        """Drain a server: it gets nothing new, and its sessions are closed slowly; how many."""
        async with self._gateway.unchanged():  # a new process begins with those that are drained
            self._require_in_charge()
            return self._gateway.drain_server(url)

    async def undrain_server(self, url: str) -> bool:
        """Use a server again; False when it was not drained."""
        async with self._gateway.unchanged():
            self._require_in_charge()
            return self._gateway.undrain_server(url)

    async def reload(self) -> ReloadResult:
        """Read the config again, and serve it unless something is wrong with it.

        Refused when the gateway is stopping.
        """
        if self._gateway.state != "ready":
            raise Refused("the gateway is stopping: nothing is reloaded")
        return await self._reloader.reload(self._gateway, "the admin interface")

    async def upgrade(self) -> UpgradeResult:
        """Have a new process take over."""
        if self._upgrader is None:
            raise NotAvailable("this gateway cannot be upgraded while it runs")
        return await self._upgrader.upgrade("the admin interface")

    async def replace_worker(self, number: int) -> WorkerReplaced | None:
        """One process has no workers."""
        raise Refused("this gateway has no workers; `easews ctl upgrade` replaces its process")

    async def metrics(self) -> bytes:
        """The metrics as OpenMetrics text."""
        if self._metrics is None:
            raise NotAvailable("nothing is measured")
        return await self._metrics.expose()

    async def tap(self, id: str) -> AsyncGenerator[dict[str, Any], None]:
        """The frames of a session from now on, until this is closed."""
        admin = self._gateway.config.gateway.admin
        shows = "headers" if admin is None else admin.tap
        if shows == "off":
            raise NotAvailable("`tap` of `admin` is off in the config")
        sessions = self._gateway.sessions
        session = sessions.get(id)
        if session is None:
            raise Refused(NOT_OPEN)
        async with aclosing(tapped(session, sessions, payload=shows == "payload")) as frames:
            async for frame in frames:
                yield frame

    async def _chosen(self, query: Query) -> AsyncIterator[SessionState]:
        """The sessions that the query means. Others get their turn between some and some more."""
        now, sessions = time.time(), [*self._gateway.sessions]
        for at in range(0, len(sessions), _PER_TURN):
            states = (state_of(session, now) for session in sessions[at : at + _PER_TURN])
            for state in chosen(states, query):
                yield state
            await checkpoint()


def state_of(session: Session, now: float) -> SessionState:
    """A session as plain values; `now` is by `time.time`."""
    opening = session.opening
    client, backend = session.traffic()
    return {
        "id": opening.id,
        "client": opening.client,
        "server": opening.route.server,
        "route": opening.route.path,
        "pipeline": opening.route.pipeline,
        "backend": opening.backend,
        "path": opening.path,
        "opened": opening.opened,
        "age": max(0.0, now - opening.opened),
        "handshake": opening.handshake,
        "generation": opening.generation,
        "labels": dict(opening.labels),
        "messages_in": client.messages,
        "bytes_in": client.bytes,
        "messages_out": backend.messages,
        "bytes_out": backend.bytes,
        "client_rtt": client.rtt,
        "backend_rtt": backend.rtt,
        "held": session.held,
        "worker": 0,
    }


def pool_state(running: RunningPool, now: float) -> PoolState:
    """A pool as plain values; `now` is by `time.time`."""
    return {
        "pipeline": running.pipeline,
        "filter": running.filter,
        "pool": running.index,
        "policy": running.pool.policy,
        "servers": [
            {
                "url": server.url,
                "state": server.state,
                "since": None if isinf(server.seconds) else now - server.seconds,
                "error": server.last_error or None,
                "active": server.active,
                "weight": server.weight,
            }
            for server in running.pool.states()
        ],
    }


def _relay(gateway: Gateway) -> str:
    """How sessions are relayed, as the filter that does it notes; empty without one."""
    entries = (entry for spec in gateway.config.pipelines for entry in spec.filters)
    notes = (entry.kind.filter_class.build_note for entry in entries)
    return next((note.removeprefix(_RELAY) for note in notes if note.startswith(_RELAY)), "")
