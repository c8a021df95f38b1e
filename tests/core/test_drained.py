"""A single server that is drained on request."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from easews import Ending, Opening, Request
from easews.operate.control import Refused
from easews.testing import OpenSession, Running, gateway
from easews.upstream import HealthRules, Pool, Server, ServerState
from easews.upstream import drained as module
from easews.upstream.drained import (
    drain,
    drained_servers,
    identity_of,
    is_drained,
    keep_drained,
    undrain,
)

ONE, TWO = "ws://127.0.0.1:9001", "ws://127.0.0.1:9002"
GET = Request("GET", "/")


@pytest.fixture(autouse=True)
def nothing_drained() -> Iterator[None]:
    yield
    module._since.clear()


def pool_of(*urls: str, health: HealthRules | None = None) -> Pool:
    return Pool(map(Server.at, urls), health=health)


def chosen(pool: Pool) -> set[str]:
    """Where eight requests lead to."""
    attempts = [pool.next(GET) for _ in range(8)]
    for attempt in attempts:
        if attempt is not None:
            attempt.over()
    return {attempt.server.url for attempt in attempts if attempt is not None}


def states(pool: Pool) -> list[str]:
    found: list[ServerState] = pool.states()
    return [state.state for state in found]


def test_no_pool_chooses_it_until_that_is_undone() -> None:
    pools = [pool_of(ONE, TWO), pool_of(TWO, ONE)]
    drain(ONE)
    assert [chosen(pool) for pool in pools] == [{TWO}, {TWO}]
    assert [states(pool) for pool in pools] == [["drained", "up"], ["up", "drained"]]
    assert undrain(ONE)
    assert [chosen(pool) for pool in pools] == [{ONE, TWO}, {ONE, TWO}]
    assert not undrain(ONE)


def test_a_pool_that_is_made_later_knows_it_too() -> None:
    drain(ONE)
    assert chosen(pool_of(ONE, TWO)) == {TWO}


def test_it_is_drained_in_the_process_that_follows_too() -> None:
    drain(ONE)
    told = drained_servers()
    module._since.clear()  # as in a new process
    pool = pool_of(ONE, TWO)
    keep_drained(told)
    assert chosen(pool) == {TWO}
    assert is_drained(ONE)
    assert undrain(ONE)
    assert chosen(pool) == {ONE, TWO}


def test_without_another_server_there_is_none() -> None:
    pool = pool_of(ONE)
    drain(ONE)
    assert pool.next(GET) is None
    assert not pool.full
    undrain(ONE)
    assert chosen(pool) == {ONE}


def test_it_is_not_even_chosen_when_too_few_are_well() -> None:
    pool = pool_of(ONE, TWO, health=HealthRules(panic_below=100))
    drain(ONE)
    assert chosen(pool) == {TWO}


def test_the_same_server_by_another_scheme_is_drained_as_well() -> None:
    drain("http://127.0.0.1:9001")
    assert is_drained(ONE)
    assert not is_drained(TWO)
    assert not is_drained("no URL")


# -- in a gateway --------------------------------------------------------------------------------

CONFIG = """
kind: HTTPServer
name: s
port: 80
rules: [{paths: [{path: /ws, backend: p, clientMaxBodySize: -1}]}]
---
kind: Pipeline
name: p
data: {code: CODE}
filters:
- {kind: WebSocketProxy, name: proxy, pools: [{servers: [{url: "ws://127.0.0.1:9001"}]}]}
---
{kind: Gateway, name: g, drain: {window: WINDOW, code: 1012}}
"""
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def config(window: str = "0", code: int = 200) -> str:
    return CONFIG.replace("WINDOW", window).replace("CODE", str(code))


def opened(running: Running, name: str, backend: str = ONE) -> OpenSession:
    session = OpenSession(Opening(name, backend=backend))
    running.sessions.opened(session)
    return session


async def status(running: Running) -> bytes:
    async with await anyio.connect_tcp(*running.address) as stream:
        await stream.send(HANDSHAKE)
        return (await stream.receive())[9:12]


async def test_its_sessions_are_closed_and_new_requests_are_refused() -> None:
    async with gateway(config()) as running:
        one, other = opened(running, "1"), opened(running, "2", TWO)
        assert running.gateway.drain_server(ONE) == 1
        await anyio.wait_all_tasks_blocked()
        assert (one.closes, other.closes) == ([(1012, "its server is drained")], [])
        assert await status(running) == b"503"
        late = opened(running, "3")  # it was asked before
        await anyio.wait_all_tasks_blocked()
        assert late.closes == [(1012, "its server is drained")]
        assert running.gateway.undrain_server(ONE)
        assert await status(running) == b"502"  # nobody listens there


async def test_a_list_of_drained_servers_replaces_the_one_before() -> None:
    async with gateway(config()) as running:
        one, other = opened(running, "1"), opened(running, "2", TWO)
        one_identity, other_identity = map(identity_of, (ONE, TWO))
        running.gateway.drain_servers([other_identity])
        await anyio.wait_all_tasks_blocked()
        assert (one.closes, other.closes) == ([], [(1012, "its server is drained")])
        running.gateway.drain_servers([one_identity])
        await anyio.wait_all_tasks_blocked()
        assert one.closes == [(1012, "its server is drained")]
        assert drained_servers() == [one_identity]
        running.gateway.drain_servers([])
        assert await status(running) == b"502"  # nobody listens there


async def test_it_is_drained_through_reloads() -> None:
    async with gateway(config()) as running:
        running.gateway.drain_server(ONE)
        await running.replace(config(code=201))
        assert running.gateway.generation == 2
        assert await status(running) == b"503"


async def test_sessions_that_still_wait_stay_when_it_is_used_again() -> None:
    async with gateway(config("1h")) as running:
        sessions = [opened(running, str(number)) for number in range(3)]
        assert running.gateway.drain_server(ONE) == 3
        assert running.gateway.draining == 3
        assert running.gateway.drain_server(ONE) == 3
        assert running.gateway.undrain_server(ONE)
        assert [session.closes for session in sessions] == [[], [], []]
        for session in sessions:
            running.sessions.ended(session, Ending("client", 1000, "closed", 0.0))


async def test_a_server_that_no_pool_has_is_refused_with_those_that_there_are() -> None:
    async with gateway(config()) as running:
        with pytest.raises(Refused, match=f"no pool has the server {TWO}; .*: {ONE}"):
            running.gateway.drain_server(TWO)
