"""A backend dies under load, and comes back: real processes, clients of somebody else's library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.e2e.backends import Backend, three_backends
from tests.e2e.gateway import PATIENCE, Gateway, config, free_port, proxied, running
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

CLIENTS = 200
AT_A_TIME = 21


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    with three_backends() as made:
        yield made


@contextmanager
def gateway_for(
    loop: str,
    folder: Path,
    backends: list[Backend],
    check: Mapping[str, object] | None,
    policy: str = "roundRobin",
) -> Iterator[Gateway]:
    fields: dict[str, Any] = {} if check is None else {"healthCheck": check}
    urls = [backend.url for backend in backends]
    text = config(free_port(), proxied("/ws", *urls, loadBalance={"policy": policy}, **fields))
    with running(text, folder, "--backend", loop) as gateway:
        yield gateway


def asked(gateway: Gateway) -> str:
    """Open a session: which backend it has led to, empty if that has died meanwhile."""
    with connect(gateway.ws("/ws"), open_timeout=PATIENCE) as ws, suppress(ConnectionClosed):
        return str(ws.recv(PATIENCE))
    return ""


def open_many(gateway: Gateway, victim: Backend) -> list[str]:
    """So many clients, under which one backend is killed. It raises if one handshake fails."""
    some = Event()

    def client(number: int) -> str:
        if number == CLIENTS // 4:
            some.set()
        return asked(gateway)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        opening = [pool.submit(client, number) for number in range(CLIENTS)]
        assert some.wait(PATIENCE)
        victim.kill()
        return [future.result(PATIENCE) for future in opening]


@pytest.mark.parametrize(
    ("check", "policy"),
    [
        ({"interval": "200ms", "ws": {"ping": True}}, "roundRobin"),
        ({"interval": "200ms", "http": {"match": {"statusCodes": [426]}}}, "roundRobin"),
        # With it everybody asks the dead one first, which has no sessions.
        ({"interval": "200ms", "tcp": {}}, "leastConnections"),
    ],
    ids=["ws", "http", "tcp"],
)
def test_not_one_handshake_fails_when_a_backend_is_killed(
    loop: str,
    tmp_path: Path,
    backends: list[Backend],
    check: Mapping[str, object],
    policy: str,
) -> None:
    victim = backends[0]
    with gateway_for(loop, tmp_path, backends, check, policy) as gateway:
        led_to = open_many(gateway, victim)
        assert len(led_to) == CLIENTS
        assert str(victim.port) in led_to
        # The first check that can fail takes it out: it is out within one interval.
        gateway.log.wait_for(f"{victim.url} is down: a check has failed: ")
        before = gateway.log.having("; asking")
        later = {asked(gateway) for _ in range(30)}
        assert later == {str(backend.port) for backend in backends[1:]}
        assert gateway.log.having("; asking") == before  # nobody was led to the dead one first
        victim.start()
        gateway.log.wait_for(f"{victim.url} is up again")
        assert {asked(gateway) for _ in range(12)} == {str(backend.port) for backend in backends}


def test_handshakes_that_a_killed_backend_has_not_answered_go_on_to_others(
    loop: str, tmp_path: Path, backends: list[Backend]
) -> None:
    victim, others = backends[0], {str(backend.port) for backend in backends[1:]}
    with (
        gateway_for(loop, tmp_path, backends, None) as gateway,
        ThreadPoolExecutor(AT_A_TIME) as pool,
    ):
        victim.stop()
        opening = [pool.submit(asked, gateway) for _ in range(AT_A_TIME)]
        for _ in islice(as_completed(opening, PATIENCE), 2 * AT_A_TIME // 3):
            pass  # the victim has the others
        victim.kill()
        led_to = Counter(future.result(PATIENCE) for future in opening)
        gateway.log.wait_for(victim.url, "; asking")
        assert led_to.keys() == others
        assert max(led_to.values()) - min(led_to.values()) <= 2  # they share what it had


def test_without_checks_failed_handshakes_tell(
    loop: str, tmp_path: Path, backends: list[Backend]
) -> None:
    victim = backends[0]
    with gateway_for(loop, tmp_path, backends, None) as gateway:
        assert len(open_many(gateway, victim)) == CLIENTS
        gateway.log.wait_for(f"{victim.url} is ejected for 10 s: ")
        before = gateway.log.having("; asking")
        assert {asked(gateway) for _ in range(30)} == {str(one.port) for one in backends[1:]}
        assert len(gateway.log.having("; asking")) - len(before) <= AT_A_TIME


def test_sessions_of_a_backend_that_hangs_are_closed(
    loop: str, tmp_path: Path, backends: list[Backend]
) -> None:
    check = {"interval": "300ms", "ws": {"ping": True}, "onUnhealthy": "close"}
    with gateway_for(loop, tmp_path, backends, check) as gateway, ExitStack() as stack:
        sessions = [stack.enter_context(connect(gateway.ws("/ws"))) for _ in range(6)]
        led_to = [str(session.recv(PATIENCE)) for session in sessions]
        backends[0].stop()
        gateway.log.wait_for(f"{backends[0].url} is down: a check has failed: no answer within")
        for session, port in zip(sessions, led_to, strict=True):
            if port == str(backends[0].port):
                with pytest.raises(ConnectionClosed):
                    session.recv(PATIENCE)
                assert (session.close_code, session.close_reason) == (1012, "the backend is down")
            else:
                session.send("still here")
                assert session.recv(PATIENCE) == "still here"
        assert led_to.count(str(backends[0].port)) == 2
        backends[0].kill()  # or the gateway would wait for its part of the closing handshakes
