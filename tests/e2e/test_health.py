"""A backend dies under load, and comes back: real processes, clients of somebody else's library."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.e2e.gateway import PATIENCE, Gateway, Lines, config, free_port, proxied, running
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

CLIENTS = 200
AT_A_TIME = 20
SCRIPT = Path(__file__).with_name("backend_process.py")


class Backend:
    """A backend that can be killed and started again on its port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        Lines(self._process.stdout).wait_for("ready")

    def stop(self) -> None:
        """SIGSTOP: its kernel accepts connections, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()

    close = kill


@pytest.fixture
def backends() -> Iterator[list[Backend]]:
    with ExitStack() as stack:
        made = [Backend() for _ in range(3)]
        for backend in made:
            stack.callback(backend.close)
        yield made


@contextmanager
def gateway_for(
    loop: str, folder: Path, backends: list[Backend], check: Mapping[str, object] | None
) -> Iterator[Gateway]:
    fields: dict[str, Any] = {} if check is None else {"healthCheck": check}
    urls = [backend.url for backend in backends]
    balance = {"policy": "roundRobin"}
    text = config(free_port(), proxied("/ws", *urls, loadBalance=balance, **fields))
    with running(text, folder, "--backend", loop) as gateway:
        yield gateway


def asked(gateway: Gateway) -> str:
    """Open a session: which backend it has led to, empty if that has died meanwhile."""
    with connect(gateway.ws("/ws"), open_timeout=PATIENCE) as ws, suppress(ConnectionClosed):
        return str(ws.recv(PATIENCE))
    return ""


def open_many(gateway: Gateway, backends: list[Backend], victim: Backend) -> list[str]:
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
    "check",
    [
        {"interval": "200ms", "ws": {"ping": True}},
        {"interval": "200ms", "http": {"match": {"statusCodes": [426]}}},
        {"interval": "200ms", "tcp": {}},
    ],
    ids=["ws", "http", "tcp"],
)
def test_not_one_handshake_fails_when_a_backend_is_killed(
    loop: str, tmp_path: Path, backends: list[Backend], check: Mapping[str, object]
) -> None:
    victim = backends[0]
    with gateway_for(loop, tmp_path, backends, check) as gateway:
        assert len(open_many(gateway, backends, victim)) == CLIENTS
        gateway.log.wait_for(f"{victim.url} is down")
        before = gateway.log.having("; asking")
        later = {asked(gateway) for _ in range(30)}
        assert later == {str(backend.port) for backend in backends[1:]}
        assert gateway.log.having("; asking") == before  # nobody was led to the dead one first
        victim.start()
        gateway.log.wait_for(f"{victim.url} is up again")
        assert {asked(gateway) for _ in range(12)} == {str(backend.port) for backend in backends}


def test_without_checks_failed_handshakes_tell(
    loop: str, tmp_path: Path, backends: list[Backend]
) -> None:
    victim = backends[0]
    with gateway_for(loop, tmp_path, backends, None) as gateway:
        assert len(open_many(gateway, backends, victim)) == CLIENTS
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
