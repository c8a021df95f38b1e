"""Several workers are upgraded: new ones take over, and no client notices."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from tests.certificates import Authority
from tests.e2e.gateway import (
    EASEWS,
    FRAGILE,
    LOOPBACK,
    PATIENCE,
    Gateway,
    Route,
    add_package,
    config,
    free_port,
    proxied,
)
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.upgraded import (
    Upgraded,
    ask_admin,
    echoes,
    keeps_file_until_the_last_process_ends,
    kill,
    secure_server,
    unix_config,
    upgradable,
)
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are read in /proc")


def with_workers(text: str, count: int, **gateway: object) -> str:
    """The config `text`, served by so many workers."""
    return f"{text}---\n" + yaml.safe_dump(
        {"kind": "Gateway", "name": "gateway", "workers": count, **gateway}
    )


@contextmanager
def opened(gateway: Gateway, count: int) -> Iterator[list[ClientConnection]]:
    url = gateway.out.wait_for("test-server listens on ").rpartition(" ")[2].replace("http", "ws")
    with ExitStack() as stack:
        opening = (connect(url, close_timeout=0.1) for _ in range(count))
        yield [stack.enter_context(session) for session in opening]


def by_worker(status: Mapping[str, Any]) -> list[int]:
    """How many sessions each worker has."""
    return [worker["sessions"] for worker in status["workers"]]


# -- counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 2), (3, 1), (1, 2)])
def test_the_new_config_says_how_many_workers_take_over(
    before: int, after: int, loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    text = config(free_port(), proxied("/", own_backend.url))
    admin = {"address": f"{LOOPBACK}:{port}"}
    with (
        upgradable(
            with_workers(text, before, admin=admin), tmp_path, "--backend", loop
        ) as upgraded,
        opened(upgraded.gateway, 24) as sessions,
    ):
        upgraded.gateway.out.wait_for("admin listens on")
        known = {it["id"] for it in ask_admin(port, "sessions")["sessions"]}
        (tmp_path / "config.yaml").write_text(with_workers(text, after, admin=admin))
        assert "moved=24 kept_behind=0" in upgraded.upgrade()
        status = ask_admin(port, "status")
        assert (status["pid"], status["sessions"]) == (upgraded.pid, 24)
        assert len(status["workers"]) == (0 if after == 1 else after)
        assert sum(by_worker(status)) == (0 if after == 1 else 24)
        assert {it["id"] for it in ask_admin(port, "sessions")["sessions"]} == known
        ((server,),) = [pool["servers"] for pool in ask_admin(port, "pools")]
        assert server["active"] == 24
        assert all(map(echoes, sessions))
        with opened(upgraded.gateway, 6) as new:
            assert all(map(echoes, (*new, *sessions)))


def cookie(session: ClientConnection) -> str:
    assert session.response is not None
    return session.response.headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize(("before", "after"), [(2, 2), (1, 1)])
def test_metrics_are_complete_and_sticky_cookies_stay_valid(
    before: int, after: int, loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    balance = {"policy": "roundRobin", "stickySession": {"mode": "DurationBased"}}
    text = config(free_port(), proxied("/", own_backend.url, loadBalance=balance))
    admin = {"address": f"{LOOPBACK}:{port}"}
    with (
        upgradable(
            with_workers(text, before, admin=admin), tmp_path, "--backend", loop
        ) as upgraded,
        opened(upgraded.gateway, 8) as sessions,
    ):
        upgraded.gateway.out.wait_for("admin listens on")
        (tmp_path / "config.yaml").write_text(with_workers(text, after, admin=admin))
        upgraded.upgrade()
        with opened(upgraded.gateway, 2) as new:
            assert {cookie(session) for session in (*new, *sessions)} == {cookie(sessions[0])}
            with urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=PATIENCE) as answer:
                figures = answer.read().decode()
        open_now = re.findall(r"^easews_sessions_open\{.*\} (\S+)$", figures, re.MULTILINE)
        assert sum(map(float, open_now)) == 10


# -- what stays behind ---------------------------------------------------------------------------


def test_sessions_with_tls_stay_behind_are_counted_and_drain(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    plain, secure, port = free_port(), free_port(), free_port()
    authority = Authority(tmp_path)
    route = proxied("/", own_backend.url)
    server = secure_server(secure, route, authority)
    text = config(plain, route) + "---\n" + yaml.safe_dump(server)
    drain = {"delay": "2s", "window": "1s"}
    text = with_workers(text, 2, admin={"address": f"{LOOPBACK}:{port}"}, drain=drain)
    with upgradable(text, tmp_path, "--backend", loop) as upgraded, ExitStack() as stack:
        upgraded.gateway.out.wait_for("secure listens on")
        upgraded.gateway.out.wait_for("admin listens on")
        trust = authority.client()
        url = f"wss://localhost:{secure}/"
        stay = [stack.enter_context(connect(url, ssl=trust)) for _ in range(6)]
        move = [stack.enter_context(connect(f"ws://{LOOPBACK}:{plain}/")) for _ in range(6)]
        assert "moved=6 kept_behind=6" in upgraded.upgrade()
        assert ask_admin(port, "status")["kept_behind"] == 6
        for ws in stay:
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert upgraded.gateway.wait() == 0
        assert ask_admin(port, "status")["kept_behind"] == 0
        assert all(map(echoes, move))
        with connect(url, ssl=trust) as new:
            assert echoes(new)


def test_a_faulty_config_changes_nothing(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = with_workers(config(free_port(), proxied("/", own_backend.url)), 2)
    with (
        upgradable(text, tmp_path, "--backend", loop) as upgraded,
        opened(upgraded.gateway, 6) as sessions,
    ):
        (tmp_path / "config.yaml").write_text(text.replace("pools", "polls"))
        upgraded.ask()
        upgraded.gateway.log.wait_for("ERROR", "config.yaml:", "did you mean 'pools'")
        upgraded.gateway.log.wait_for("ERROR not upgraded, this process goes on")
        with opened(upgraded.gateway, 6) as new:
            assert all(map(echoes, (*sessions, *new)))

        (tmp_path / "config.yaml").write_text(text)
        upgraded.gateway.log._lines.clear()
        assert "moved=6 kept_behind=0" in upgraded.upgrade()
        assert all(map(echoes, sessions))


@pytest.mark.parametrize(("before", "after"), [(2, 2), (1, 2)])
def test_a_filter_that_does_not_start_is_named_and_changes_nothing(
    before: int,
    after: int,
    loop: str,
    own_backend: LibraryBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_package(tmp_path, "fragile", FRAGILE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    web, port = free_port(), free_port()
    admin = {"address": f"{LOOPBACK}:{port}"}
    served = proxied("/", own_backend.url)
    broken = Route("/db", [{"kind": "Fragile", "name": "db"}])
    text = with_workers(config(web, served), before, admin=admin)
    with (
        upgradable(text, tmp_path, "--backend", loop) as upgraded,
        opened(upgraded.gateway, 6) as sessions,
    ):
        upgraded.gateway.out.wait_for("admin listens on")
        text = with_workers(config(web, broken, served), after, admin=admin)
        (tmp_path / "config.yaml").write_text(text)
        told = ask_admin(port, "upgrade", {})
        why = "filter db of db (package fragile) cannot start: OSError: no such database"
        assert (told["outcome"], told["pid"]) == ("refused", upgraded.pid)
        assert why in told["problems"][0]
        upgraded.gateway.log.wait_for("ERROR ", why)
        upgraded.gateway.log.wait_for("ERROR not upgraded, this process goes on")
        assert all(map(echoes, sessions))


def test_a_unix_socket_keeps_its_file_until_the_last_process_ends(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    path = Path(f"/tmp/easews-workers-{os.getpid()}-{loop}.sock")
    text = with_workers(unix_config(path, proxied("/", own_backend.url)), 2)
    keeps_file_until_the_last_process_ends(path, text, tmp_path, "--backend", loop)


# -- who asks ------------------------------------------------------------------------------------


def test_ctl_prints_what_has_moved_again_and_again(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    text = config(free_port(), proxied("/", own_backend.url))
    text = with_workers(text, 2, admin={"address": f"{LOOPBACK}:{port}"})
    with (
        upgradable(text, tmp_path, "--backend", loop) as upgraded,
        opened(upgraded.gateway, 9) as sessions,
    ):
        upgraded.gateway.out.wait_for("admin listens on")
        for _ in range(2):
            command = [*EASEWS, "ctl", "upgrade", "--admin", f"{LOOPBACK}:{port}"]
            told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
            assert told.returncode == 0, told
            found = re.fullmatch(r"process (\d+) has taken over 9 sessions", told.stdout.strip())
            assert found is not None, told.stdout
            upgraded.pid = int(found[1])
            assert all(map(echoes, sessions))


def test_a_stop_during_an_upgrade_ends_all_processes(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = with_workers(config(free_port(), proxied("/", own_backend.url)), 2)
    with upgradable(text, tmp_path, "--backend", loop) as upgraded:
        gateway = upgraded.gateway
        late = socket.create_connection((LOOPBACK, gateway.port))
        with late, opened(gateway, 20):
            late.sendall(b"GET / HTTP/1.1\r\n")  # the handover waits for what becomes of it
            upgraded.ask()
            gateway.out.wait_for_count("listens on", 2)
            os.kill(upgraded.pid, signal.SIGTERM)
            wait_until_only(gateway, 0)


# -- one of the processes fails ------------------------------------------------------------------

COUNT = 40  # of sessions: two batches for each of two workers
FAILING = Path(__file__).with_name("failing_workers.py")


@contextmanager
def failing(
    fault: str, backend: LibraryBackend, folder: Path
) -> Iterator[tuple[Upgraded, list[bool]]]:
    """An upgrade in which a process fails in this way; in the list which sessions are still there
    afterwards.
    """
    (folder / "fault").write_text(fault)
    text = with_workers(config(free_port(), proxied("/", backend.url)), 2)
    (folder / "config.yaml").write_text(text)
    easews = (*EASEWS[:-2], str(FAILING), str(folder / "fault"))
    gateway, survived = Gateway(folder / "config.yaml", easews=easews), list[bool]()
    try:
        gateway.wait_until_it_listens()
        upgraded = Upgraded(gateway)
        with opened(gateway, COUNT) as sessions:
            upgraded.ask()
            yield upgraded, survived
            survived += map(echoes, sessions)
            with opened(gateway, 6) as new:
                assert all(map(echoes, new))
    finally:
        for pid in pids_in(gateway):
            kill(pid)
        gateway.close()


def pids_in(gateway: Gateway) -> list[int]:
    """All processes that the log tells of."""
    found = (re.search(r"its process is (\d+)|pid=(\d+)", line) for line in gateway.log.having(""))
    return [int(match[1] or match[2]) for match in found if match]


def wait_until_only(gateway: Gateway, count: int) -> None:
    """Wait until so many processes are left."""
    until = time.monotonic() + PATIENCE
    while len(left := {pid for pid in pids_in(gateway) if is_alive(pid)}) != count:
        assert time.monotonic() < until, f"{left} are left:\n{gateway.log.all()}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


#: The new parent: listeners come; `started` is sent twice; `ready` is sent; `sessions` come twice.
NEW_PARENT = [("new-parent", step) for step in (1, 4, 7, 9)]
#: A new worker: `started` and `ready` are sent; twice a batch comes and `taken` is sent; `done`.
NEW_WORKER = [("new-worker", step) for step in (2, 5, 6, 7, 9)]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["KILL", "STOP"])
@pytest.mark.parametrize(("who", "step"), [*NEW_PARENT, *NEW_WORKER])
def test_what_has_not_moved_to_new_processes_goes_on_in_the_old_ones(
    own_backend: LibraryBackend, tmp_path: Path, who: str, step: int, how: str
) -> None:
    with failing(f"{who} {step} {how}", own_backend, tmp_path) as (upgraded, survived):
        told = upgraded.gateway.log.wait_for("ERROR not upgraded, this process goes on")
        wait_until_only(upgraded.gateway, 3)
    lost = re.search(r"(\d+) sessions had moved, and are lost with it", told)
    assert survived.count(True) == COUNT - (int(lost[1]) if lost else 0)
    log = upgraded.gateway.log.all()
    assert "Traceback" not in log, log


#: An old worker: `started` and `ready` come; twice a batch is sent and `taken` comes; `done`.
@pytest.mark.slow
@pytest.mark.parametrize("how", ["KILL", "STOP"])
@pytest.mark.parametrize("step", [2, 4, 6, 8])
def test_an_old_worker_that_ends_loses_nothing_but_its_own_sessions(
    own_backend: LibraryBackend, tmp_path: Path, step: int, how: str
) -> None:
    with failing(f"old-worker {step} {how}", own_backend, tmp_path) as (upgraded, survived):
        upgraded.gateway.log.wait_for("has ended while it handed over")
        upgraded.gateway.log.wait_for("handed over pid=")
        upgraded.gateway.wait()
        wait_until_only(upgraded.gateway, 3)
    assert survived.count(True) >= COUNT / 2 - 2


#: The old parent: a channel is sent for the first of its workers; `done` is sent.
@pytest.mark.slow
@pytest.mark.parametrize(("step", "moved"), [(7, 0), (11, COUNT)])
def test_what_has_moved_goes_on_when_the_old_parent_is_killed(
    own_backend: LibraryBackend, tmp_path: Path, step: int, moved: int
) -> None:
    with failing(f"old-parent {step} KILL", own_backend, tmp_path) as (upgraded, survived):
        assert upgraded.gateway.wait() == -signal.SIGKILL
        wait_until_only(upgraded.gateway, 3)
    assert survived.count(True) == moved
