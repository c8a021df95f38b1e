"""The servers of a pool are checked for as long as the pool is used, on real sockets."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.waiting import until

from easews import ConnectError, Request
from easews.sessions import Opening
from easews.testing import OpenSession
from easews.upstream import HealthRules, Pool, Server
from easews.upstream.balance.rebalancing import Rebalance
from easews.upstream.health import checking
from easews.upstream.health.checks import Check, TcpCheck

REQUEST = Request("GET", "/")
PATIENCE = 30


class Backend:
    """A server that can be stopped and started again, on a port of its own. Its kernel accepts."""

    def __init__(self) -> None:
        # Bound, so that nobody else gets the port while it does not listen.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]
        self._listening: socket.socket | None = None
        self.start()

    def start(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", self.port))

    def stop(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def close(self) -> None:
        self.stop()
        self._reserved.close()

    @property
    def server(self) -> Server:
        return Server.at(f"ws://127.0.0.1:{self.port}")


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    made = [Backend(), Backend()]
    yield made
    for backend in made:
        backend.close()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "easews.upstream"):
        yield caplog


def pool_of(*backends: Backend, **check: Any) -> Pool:
    rules = HealthRules(check=Check(TcpCheck(), **{"interval": 0.02, **check}))
    return Pool([backend.server for backend in backends], health=rules)


def states(pool: Pool) -> list[str]:
    return [one.state for one in pool.states()]


async def test_a_server_that_is_gone_is_down_and_up_again_when_it_is_back(
    backends: list[Backend], log: pytest.LogCaptureFixture
) -> None:
    first, _ = backends
    pool = pool_of(*backends)
    async with pool:
        first.stop()
        await until(lambda: states(pool) == ["down", "up"])
        chosen = {attempt.server for _ in range(9) if (attempt := pool.next(REQUEST))}
        assert chosen == {backends[1].server}
        first.start()
        await until(lambda: states(pool) == ["up", "up"])
    url = first.server.url
    assert log.messages[0] == f"{url} is down: a check has failed: Connection refused"
    assert log.messages[1].startswith(f"{url} is up again after ")
    assert log.messages[1].endswith(" s: a check has passed")
    assert len(log.messages) == 2


async def test_a_server_that_is_up_again_is_ejected_no_longer(backends: list[Backend]) -> None:
    first, second = backends
    pool = pool_of(*backends)
    attempts = [attempt for _ in range(3) if (attempt := pool.next(REQUEST, [second.server]))]
    async with pool:
        first.stop()
        await until(lambda: states(pool) == ["down", "up"])
        for attempt in attempts:
            attempt.failed(ConnectError("refused"))
        first.start()
        await until(lambda: states(pool) == ["up", "up"])


async def test_nothing_waits_for_the_first_check(
    backends: list[Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def probe(server: Server, check: Check) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(checking, "probe", probe)
    with anyio.fail_after(PATIENCE):
        async with pool_of(backends[0]) as pool:
            assert pool.next(REQUEST) is not None


async def test_a_pool_without_checks_has_no_tasks() -> None:
    async with Pool([Server.at("ws://127.0.0.1:1")]) as pool:
        assert pool._watching._tasks is None


async def test_however_many_pools_name_a_server_it_is_checked_once(
    backends: list[Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    at_work = 0

    async def probe(server: Server, check: Check) -> None:
        nonlocal at_work
        at_work += 1
        asked.append(at_work)
        try:
            await anyio.sleep(0.01)
        finally:
            at_work -= 1

    monkeypatch.setattr(checking, "probe", probe)
    first, second = pool_of(backends[0]), pool_of(backends[0])
    async with second:
        async with first:
            await until(lambda: len(asked) > 3)
        before = len(asked)
        await until(lambda: len(asked) > before)  # the other has taken over
    assert set(asked) == {1}


async def test_pools_that_check_in_the_same_way_agree(backends: list[Backend]) -> None:
    first, second = pool_of(*backends), pool_of(*backends)
    async with first, second:
        backends[0].stop()
        await until(lambda: states(first) == ["down", "up"])
        assert states(second) == ["down", "up"]
        attempts = [second.next(REQUEST) for _ in range(5)]
        assert {attempt.server for attempt in attempts if attempt} == {backends[1].server}


async def test_a_server_that_comes_later_is_checked_and_one_that_is_gone_is_not(
    backends: list[Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Server] = []

    async def probe(server: Server, check: Check) -> None:
        asked.append(server)

    monkeypatch.setattr(checking, "probe", probe)
    one, other = (backend.server for backend in backends)
    pool = pool_of(backends[0])
    async with pool:
        await until(lambda: one in asked)
        pool.replace([other])
        await until(lambda: other in asked)
        asked.clear()
        await until(lambda: len(asked) > 3)
        assert one not in asked


async def test_a_check_that_raises_is_logged_and_repeated(
    backends: list[Backend], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    async def probe(server: Server, check: Check) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(checking, "probe", probe)
    pool = pool_of(backends[0])
    async with pool:
        await until(lambda: len(log.messages) > 1)
    assert log.messages[0] == f"a check of {backends[0].server.url} raised"
    assert states(pool) == ["up"]


def opened(pool: Pool, number: int) -> list[OpenSession]:
    """So many sessions at the first server."""
    sessions = []
    other = [member.server for member in pool.members[1:]]
    for each in range(number):
        attempt = pool.next(REQUEST, other)
        assert attempt is not None
        sessions.append(OpenSession(Opening(f"{each}")))
        attempt.opened(sessions[-1])
    return sessions


async def test_sessions_of_a_server_that_is_down_are_closed(
    backends: list[Backend], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(checking.WINDOWS, "close", 0.05)
    pool = pool_of(*backends, on_unhealthy="close")
    async with pool:
        sessions = opened(pool, 5)
        backends[0].stop()
        await until(lambda: all(session.closes for session in sessions))
    assert [session.closes for session in sessions] == [[(1012, "the backend is down")]] * 5
    assert f"{backends[0].server.url} is down: its 5 sessions are closed" in log.messages


async def test_sessions_that_rebalance_keeps_a_list_of_stay_at_a_server_that_is_down(
    backends: list[Backend],
) -> None:
    rules = HealthRules(check=Check(TcpCheck(), interval=0.02))
    pool = Pool([backend.server for backend in backends], rebalance=Rebalance(60_000), health=rules)
    async with pool:
        sessions = opened(pool, 2)
        backends[0].stop()
        await until(lambda: states(pool) == ["down", "up"])
        backends[0].start()
        await until(lambda: states(pool) == ["up", "up"])
    assert not any(session.closes for session in sessions)


async def test_of_two_configs_the_newer_one_closes_sessions(
    backends: list[Backend], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(checking.WINDOWS, "close", 0.05)
    older = pool_of(*backends, on_unhealthy="close")
    newer = pool_of(*backends, on_unhealthy="close", interval=0.01)
    newer.inherit(older)
    async with older, newer:
        sessions = opened(older, 2) + opened(newer, 1)
        backends[0].stop()
        await until(lambda: all(session.closes for session in sessions))
        await until(lambda: states(older) == ["down", "up"])
    assert [len(session.closes) for session in sessions] == [1, 1, 1]
    assert sum("sessions are closed" in message for message in log.messages) == 1


async def test_sessions_that_end_with_their_server_need_no_close(
    backends: list[Backend], log: pytest.LogCaptureFixture
) -> None:
    pool = pool_of(backends[0], on_unhealthy="close", interval=1e6)
    (member,) = pool.members
    async with pool:
        attempt = pool.next(REQUEST)
        assert attempt is not None
        attempt.opened(OpenSession(Opening("s")))
        assert member.checkup is not None
        assert pool._checking is not None
        await until(lambda: bool(pool._checking and pool._checking._checked))
        member.checkup.failed("refused", 1.0)
        member.standing.tell()
        attempt.over()  # before the first of them is to be closed
        await until(lambda: bool(pool._checking and pool._checking._closing))
        await checkpoint()
    assert not any("are closed" in message for message in log.messages)


async def test_sessions_of_a_server_that_is_back_stay(
    backends: list[Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(checking.WINDOWS, "drain", 1e6)
    pool = pool_of(*backends, on_unhealthy="drain")
    checks = pool._checking
    assert checks is not None
    async with pool:
        sessions = opened(pool, 3)
        backends[0].stop()
        await until(lambda: bool(checks._closing))
        (closing,) = checks._closing.values()
        backends[0].start()
        await until(lambda: not checks._closing)
        assert closing.cancel_called
    assert not any(session.closes for session in sessions)
