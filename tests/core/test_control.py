"""What a running gateway answers to whoever administers it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.core.test_reloading import Disk, Says, config

from easews import ConfigError, Ending, Frame, Opening, Route
from easews.config.model import AdminSpec
from easews.errors import Problem
from easews.operate import controlling
from easews.operate.control import Control, NotAvailable, Query, Refused, SessionState
from easews.operate.controlling import GatewayControl, state_of
from easews.operate.handover.offering import Offering
from easews.operate.handover.upgrading import Upgrader
from easews.operate.reloading import Reloader
from easews.sessions import Session
from easews.testing import OpenSession, Running, gateway, load_config


@asynccontextmanager
async def controlled(
    disk: Disk | None = None, tap: str = ""
) -> AsyncIterator[tuple[Control, Running]]:
    served = config("one")
    if tap:
        admin = AdminSpec("127.0.0.1", 0, "", "", "token", (), tap)
        served = replace(served, gateway=replace(served.gateway, admin=admin))
    async with gateway(served, Says) as running:
        reloader = Reloader((disk or Disk(config("one"))).read)
        yield GatewayControl(running.gateway, reloader, "a loop"), running


def opened(running: Running, id: str, user: str = "ann", held: int = 0) -> OpenSession:
    route = Route("s", "/ws", "p", "s * /ws")
    opening = Opening(id, "10.0.0.1", route, "ws://b:1", 0.25, 5.0, 1, {"user": user}, "/ws/1")
    session = OpenSession(opening, held)
    running.sessions.opened(session)
    return session


async def test_the_status_tells_what_is_served_and_what_is_open() -> None:
    async with controlled() as (control, running):
        opened(running, "a-1", held=3)
        opened(running, "a-2", held=4)
        status = await control.status()
        assert (status["state"], status["ready"], status["backend"]) == ("ready", True, "a loop")
        assert (status["sessions"], status["held"], status["generation"]) == (2, 7, 1)
        assert status["pid"] == os.getpid()
        assert status["listeners"] == [
            {"server": "s", "address": str(running.address), "tls": False}
        ]


async def test_who_asks_for_an_upgrade_during_a_stop_is_refused() -> None:
    upgrader = Upgrader()
    async with gateway(config("one"), Says) as running:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upgrader.run, running.gateway, partial(Offering, running.gateway))
            await checkpoint()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(10):
            result = await upgrader.upgrade("a test")
    assert (result["outcome"], result["problems"]) == ("refused", ["easews is stopping"])


async def test_many_who_look_for_sessions_leave_everybody_a_turn() -> None:
    async with controlled() as (control, running):
        for number in range(300):
            opened(running, f"a-{number}")
        looked: list[Session] = []

        def look(session: Session, now: float) -> SessionState:
            looked.append(session)
            return state_of(session, now)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(controlling, "state_of", look)
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(control.sessions, Query(search="nobody"))
                most = before = 0
                while len(looked) < 20 * 300:
                    await checkpoint()
                    most, before = max(most, len(looked) - before), len(looked)
        assert most <= 200


async def test_a_session_is_told_as_plain_values() -> None:
    async with controlled() as (control, running):
        opened(running, "a-1")
        state = await control.session("a-1")
        assert state is not None
        assert state["age"] > 0
        assert {**state, "age": 0} == {
            "id": "a-1",
            "client": "10.0.0.1",
            "server": "s",
            "route": "/ws",
            "pipeline": "p",
            "backend": "ws://b:1",
            "path": "/ws/1",
            "opened": 5.0,
            "age": 0,
            "handshake": 0.25,
            "generation": 1,
            "labels": {"user": "ann"},
            "messages_in": 0,
            "bytes_in": 0,
            "messages_out": 0,
            "bytes_out": 0,
            "client_rtt": None,
            "backend_rtt": None,
            "held": 0,
            "worker": 0,
        }
        assert await control.session("a-2") is None
        assert (await control.sessions({}))["sessions"][0]["id"] == "a-1"


async def test_sessions_are_closed_by_what_a_query_says() -> None:
    async with controlled() as (control, running):
        ann, bob = opened(running, "a-1"), opened(running, "a-2", "bob")
        assert await control.close({"labels": {"user": "bob"}}, 4000, "bye") == 1
        assert (ann.closes, bob.closes) == ([], [(4000, "bye")])


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"limit": 1}, 1000, ""),
        ({"client": ""}, 1000, ""),
        ({"client": "10.0.0.1"}, 1005, ""),
        ({"client": "10.0.0.1"}, 1000, "\u00e9" * 62),
    ],
)
async def test_a_close_of_everything_or_one_that_cannot_be_sent_is_refused(
    query: dict[str, object], code: int, reason: str
) -> None:
    async with controlled() as (control, running):
        session = opened(running, "a-1")
        with pytest.raises(Refused):
            await control.close(query, code, reason)  # type: ignore[arg-type]
        assert session.closes == []


async def test_a_close_waits_for_sessions_that_move_here() -> None:
    async with controlled() as (control, running):
        moved: list[OpenSession] = []

        async def close() -> None:
            assert await control.close({"labels": {"user": "ann"}}, 4000, "bye") == 1

        async with anyio.create_task_group() as tasks, running.gateway.moving.going_on():
            tasks.start_soon(close)
            await anyio.wait_all_tasks_blocked()
            moved.append(opened(running, "a-1"))
        assert moved[0].closes == [(4000, "bye")]


async def test_where_another_process_has_taken_over_nothing_is_closed_or_drained() -> None:
    async with controlled() as (control, running):
        session = opened(running, "a-1")
        running.gateway.has_moved = True
        for refused in (
            control.close({"ids": ["a-1"]}, 4000, "bye"),
            control.drain_server("ws://b:1"),
            control.undrain_server("ws://b:1"),
        ):
            with pytest.raises(Refused, match="a new process has taken over meanwhile: ask again"):
                await refused
        assert session.closes == []


async def test_a_session_is_pinged() -> None:
    async with controlled() as (control, running):
        session = opened(running, "a-1")
        assert await control.ping("a-1")
        assert not await control.ping("a-2")
        assert session.pings == 1


async def test_a_reload_tells_what_has_come_of_it() -> None:
    disk = Disk(config("one"))
    async with controlled(disk) as (control, _):
        assert await control.reload() == {
            "outcome": "unchanged",
            "generation": 1,
            "changes": [],
            "problems": [],
        }
        disk.found = config("two")
        assert await control.reload() == {
            "outcome": "reloaded",
            "generation": 2,
            "changes": ["pipeline p: filter says changed (text)"],
            "problems": [],
        }


async def test_a_reload_that_is_refused_tells_why() -> None:
    disk = Disk(ConfigError([Problem("gw.yaml", 3, 1, "s.port", "no port")]))
    async with controlled(disk) as (control, _):
        assert await control.reload() == {
            "outcome": "refused",
            "generation": 1,
            "changes": [],
            "problems": ["gw.yaml:3:1: s.port: no port"],
        }
        disk.found = replace(config("two"), servers=())
        assert (await control.reload())["problems"] == ["there is no HTTPServer in it; write one"]
        disk.found = RuntimeError("the disk")
        assert (await control.reload())["problems"] == ["it failed; the log says more"]


async def test_a_session_is_tapped() -> None:
    async with controlled() as (control, running):
        session = opened(running, "a-1")
        frames = control.tap("a-1")
        assert await anext(frames) == {"tapping": "a-1", "shows": "headers"}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_tell, session, Frame(5.0, "client", 1, True, 2))
            assert (await anext(frames))["type"] == "text"
        running.sessions.ended(session, Ending("client", 1000, "closed", 1.0))
        assert [list(told) async for told in frames] == [["ended"]]
        with pytest.raises(Refused):
            await anext(control.tap("a-1"))


@pytest.mark.parametrize("shows", ["headers", "payload"])
async def test_the_config_says_what_a_tap_shows(shows: str) -> None:
    async with controlled(tap=shows) as (control, running):
        opened(running, "a-1")
        frames = control.tap("a-1")
        assert await anext(frames) == {"tapping": "a-1", "shows": shows}
        await frames.aclose()


async def test_no_session_is_tapped_where_the_config_says_so() -> None:
    async with controlled(tap="off") as (control, running):
        opened(running, "a-1")
        with pytest.raises(NotAvailable):
            await anext(control.tap("a-1"))


async def _tell(session: OpenSession, frame: Frame) -> None:
    await anyio.wait_all_tasks_blocked()
    (tell,) = session.taps
    tell(frame)


async def test_what_is_not_there_yet_says_so() -> None:
    async with controlled() as (control, _):
        with pytest.raises(NotAvailable):
            await control.metrics()


async def test_a_server_that_no_pool_has_is_not_drained() -> None:
    async with controlled() as (control, _):
        with pytest.raises(Refused, match="no pool has the server ws://b:1; those that there are"):
            await control.drain_server("ws://b:1")
        assert not await control.undrain_server("ws://b:1")


async def test_the_pools_are_told_with_the_health_of_their_servers() -> None:
    proxied = load_config(
        "{kind: HTTPServer, name: s, port: 80, clientMaxBodySize: -1,"
        " rules: [{paths: [{backend: p}]}]}\n---\n"
        "{kind: Pipeline, name: p, filters: [{kind: WebSocketProxy, name: proxy,"
        " pools: [{servers: [{url: 'ws://127.0.0.1:9'}], loadBalance: {policy: random}}]}]}"
    )
    async with gateway(proxied) as running:
        control = GatewayControl(running.gateway, Reloader(Disk(proxied).read))
        (pool,) = await control.pools()
        (server,) = pool["servers"]
        assert (pool["pipeline"], pool["filter"], pool["pool"]) == ("p", "proxy", 0)
        assert pool["policy"] == "random"
        assert (server["url"], server["state"], server["active"]) == ("ws://127.0.0.1:9", "up", 0)
        assert (server["since"], server["error"]) == (None, None)
        assert (await control.status())["relay"] in ("compiled", "pure Python")


async def test_the_config_is_told_without_secrets() -> None:
    async with controlled() as (control, _):
        server, pipeline = await control.config()
        assert server["name"] == "s"  # type: ignore[index]
        assert pipeline["filters"] == [  # type: ignore[index]
            {"kind": "Says", "name": "says", "text": "one"}
        ]


async def test_nothing_is_reloaded_while_the_gateway_is_stopping() -> None:
    async with controlled() as (control, running):
        await running.gateway.stop()
        with pytest.raises(Refused, match="stopping"):
            await control.reload()
