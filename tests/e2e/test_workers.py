"""Several worker processes on one port: spread, crashes, reloads, stops."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import yaml
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend, connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

#: How far a worker may be from its share, in parts of it. On a quiet machine it is 0; here the
#: other workers may not get a core within the millisecond that they are given.
UNEVEN = 0.25


@pytest.fixture(params=["asyncio", "uvloop", "trio"])
def event_loop(request: pytest.FixtureRequest) -> str:
    """What the workers and their parent run on."""
    name: str = request.param
    return name


def workers(gateway: Gateway) -> dict[int, int]:
    """The process of each worker, by its number; the newest one."""
    lines = gateway.log.having("worker ", " serves, its process is ")
    found = (re.search(r"worker (\d+) serves, its process is (\d+)", line) for line in lines)
    return {int(match[1]): int(match[2]) for match in found if match}


@contextmanager
def sessions(gateway: Gateway, count: int, path: str = "/a") -> Iterator[list[ClientConnection]]:
    with ExitStack() as stack:
        yield [stack.enter_context(connect(gateway.ws(path))) for _ in range(count)]


def echoes(ws: ClientConnection) -> bool:
    """Whether the session is still open."""
    try:
        ws.send("here")
        return ws.recv(PATIENCE) == "here"
    except ConnectionClosed:
        return False


def code(ws: ClientConnection) -> int | None:
    """The code of the Close that comes."""
    with pytest.raises(ConnectionClosed) as closed:
        ws.recv(PATIENCE)
    return closed.value.rcvd.code if closed.value.rcvd else None


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pids: Iterable[int]) -> None:
    """Wait for the end of processes that are not ours."""
    give_up = monotonic() + PATIENCE
    while any(map(is_alive, pids)):
        assert monotonic() < give_up
        sleep(0.01)


def test_a_killed_worker_is_back_and_the_sessions_of_the_others_go_on(
    event_loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/a", own_backend.url))
    options = ("--workers", "2", "--backend", event_loop)
    with running(text, tmp_path, *options) as gateway, sessions(gateway, 20) as opened:
        before = workers(gateway)
        assert sorted(before) == [1, 2]
        os.kill(before[1], signal.SIGKILL)
        gateway.log.wait_for("ERROR worker 1 has ended by SIGKILL; another is started at once")
        still = [ws for ws in opened if echoes(ws)]
        assert 0 < len(still) < len(opened)
        with sessions(gateway, 4) as new:  # meanwhile, and whoever takes them
            assert all(map(echoes, new))
            gateway.log.wait_for("worker 1 serves, its process is ", f"{workers(gateway)[1]}")
            while workers(gateway)[1] == before[1]:
                gateway.log.wait_for_more()
            with sessions(gateway, 10) as rest:
                assert all(map(echoes, (*still, *new, *rest)))


def test_a_worker_that_is_started_again_knows_which_servers_are_drained(
    loop: str, backend: LibraryBackend, tmp_path: Path
) -> None:
    admin = Admin(port := free_port())
    text = config(free_port(), proxied("/a", backend.url))
    options = ("--workers", "2", "--backend", loop, "--admin", f"{LOOPBACK}:{port}")
    with running(text, tmp_path, *options) as gateway:
        gateway.log.wait_for("worker 1 serves")
        gateway.log.wait_for("worker 2 serves")
        admin.ask("POST", "servers/drain", {"url": backend.url})
        for number, pid in workers(gateway).items():
            os.kill(pid, signal.SIGKILL)
            while workers(gateway)[number] == pid:
                gateway.log.wait_for_more()
        ((server,),) = [pool["servers"] for pool in admin.ask("GET", "pools")]
        assert server["state"] == "drained"


@pytest.mark.parametrize("count", [2, 4])
def test_connections_are_spread_evenly_and_no_two_requests_have_one_id(
    count: int, loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/a", own_backend.url))
    options = ("--workers", str(count), "--backend", loop)
    with running(text, tmp_path, *options) as gateway, ExitStack() as stack:
        for _ in range(400):
            client = http.client.HTTPConnection(LOOPBACK, gateway.port, PATIENCE)
            stack.callback(client.close)
            client.request("GET", "/nowhere")
            assert client.getresponse().read()
        while len(lines := gateway.log.having("target=/nowhere")) < 400:
            gateway.log.wait_for_more()
        by_worker = Counter(re.findall(r"worker=(\d+)", "\n".join(lines)))
        share = 400 / count
        assert len(by_worker) == count
        assert all(abs(part - share) <= UNEVEN * share for part in by_worker.values()), by_worker
        assert len(set(re.findall(r"request id=(\S+)", "\n".join(lines)))) == 400


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_stops_each_of_them_once(
    number: signal.Signals, loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    """As a terminal sends SIGINT, and systemd SIGTERM."""
    text = config(free_port(), proxied("/a", own_backend.url))
    options = ("--workers", "2", "--backend", loop)
    with running(text, tmp_path, *options) as gateway, sessions(gateway, 30) as opened:
        assert all(map(echoes, opened))
        for pid in (*workers(gateway).values(), gateway.process.pid):
            os.kill(pid, number)
        assert {code(ws) for ws in opened} == {1001}
        assert gateway.wait() == 0
        gateway.log.wait_for("INFO all workers have stopped")
        ended = re.findall(r" stopped pid=\d+ sessions=(\d+) ", gateway.log.all())
        assert sum(map(int, ended)) == 30


def test_workers_stop_when_the_process_that_has_started_them_is_killed(
    event_loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(config(free_port(), proxied("/a", own_backend.url)))
    gateway = Gateway(file, "--workers", "2", "--backend", event_loop)
    try:
        gateway.wait_until_it_listens()
        with sessions(gateway, 10) as opened:
            assert all(map(echoes, opened))
            gateway.process.kill()
            assert {code(ws) for ws in opened} == {1001}
        log = gateway.log.all()  # it ends when no process writes to it any more
        assert log.count("the process that has started this worker is gone") == 2
        assert "Traceback" not in log
        wait_until_gone(workers(gateway).values())
        with socket.socket() as probe:
            assert probe.connect_ex((LOOPBACK, gateway.port)) != 0
    finally:
        gateway.close()


def save(folder: Path, text: str) -> None:
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / "config.yaml")


def test_a_reload_reaches_all_workers_and_a_faulty_config_none(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port, other = free_port(), free_port()
    gone = "---\n{kind: Gateway, name: g, workers: 3, drain: {window: 0}}"
    first = config(port, proxied("/a", own_backend.url), proxied("/b", own_backend.url)) + gone
    with (
        running(first, tmp_path, "--backend", loop) as gateway,
        sessions(gateway, 9) as stay,
        sessions(gateway, 9, "/b") as go,
    ):
        save(tmp_path, first.replace("clientMaxBodySize", "clientMaxBodySise"))
        gateway.process.send_signal(signal.SIGHUP)
        gateway.log.wait_for("ERROR not reloaded, generation 1 goes on")
        assert len(gateway.log.having("unknown key 'clientMaxBodySise'")) == 2  # one for each path
        os.kill(workers(gateway)[2], signal.SIGKILL)  # the next one gets what is served
        gateway.log.wait_for("worker 2 has ended")
        while len(gateway.log.having("worker 2 serves")) < 2:
            gateway.log.wait_for_more()
        stay = [ws for ws in stay if echoes(ws)]
        go = [ws for ws in go if echoes(ws)]
        assert len(stay) + len(go) >= 8

        servers = list(yaml.safe_load_all(config(port, proxied("/a", own_backend.url))))
        more = {**servers[0], "name": "other", "port": other}
        save(tmp_path, yaml.safe_dump_all([*servers, more]) + gone)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.log.wait_for(
            "reloaded generation=2", f"listens on {LOOPBACK}:{other}", "/b removed"
        )
        assert {code(ws) for ws in go} <= {1001}
        assert all(map(echoes, stay))
        with ExitStack() as stack:
            new = [stack.enter_context(connect(f"ws://{LOOPBACK}:{other}/a")) for _ in range(9)]
            assert all(map(echoes, new))
            os.kill(workers(gateway)[3], signal.SIGKILL)
            while len(gateway.log.having("worker 3 serves")) < 2:
                gateway.log.wait_for_more()
        for _ in range(9):
            with connect(f"ws://{LOOPBACK}:{other}/a") as ws:
                assert echoes(ws)


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) is Linux's")
def test_a_worker_without_room_for_a_config_refuses_it_and_its_sessions_go_on(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port, url = free_port(), own_backend.url
    first = config(port, proxied("/a", url))
    options = ("--workers", "2", "--backend", loop)
    with running(first, tmp_path, *options) as gateway, sessions(gateway, 9) as stay:
        full = workers(gateway)[2], resource.RLIMIT_NOFILE
        limits = resource.prlimit(*full)
        resource.prlimit(*full, (3, limits[1]))
        save(tmp_path, config(port, proxied("/a", url), proxied("/b", url)))
        gateway.process.send_signal(signal.SIGHUP)
        gateway.log.wait_for("not reloaded, generation 1 goes on: a worker has reached its limit")
        assert all(map(echoes, stay))
        resource.prlimit(*full, limits)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.log.wait_for("reloaded generation=2")


def test_a_port_that_is_taken_is_said_once(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        file = tmp_path / "config.yaml"
        file.write_text(config(taken.getsockname()[1], proxied("/a", "ws://127.0.0.1:9")))
        gateway = Gateway(file, "--workers", "2")
        try:
            assert gateway.wait() == 1
            assert gateway.log.all().count("cannot listen on") == 1
        finally:
            gateway.close()


class Admin:
    """The admin interface of a gateway."""

    def __init__(self, port: int) -> None:
        self._port = port

    def metrics(self) -> dict[str, list[float]]:
        """The values of each metric."""
        client = http.client.HTTPConnection(LOOPBACK, self._port, PATIENCE)
        client.request("GET", "/metrics")
        lines = client.getresponse().read().decode().splitlines()
        client.close()
        found: dict[str, list[float]] = {}
        for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#"):
            found.setdefault(name.partition("{")[0], []).append(float(value))
        return found

    def ask(self, method: str, path: str, body: object = None) -> Any:
        client = http.client.HTTPConnection(LOOPBACK, self._port, PATIENCE)
        text = None if method == "GET" else json.dumps(body or {})
        fields = {} if text is None else {"Content-Type": "application/json"}
        client.request(method, f"/api/v1/{path}", text, fields)
        answer = client.getresponse()
        answered = answer.read()
        client.close()
        assert answer.status == 200, answered
        return json.loads(answered)


def test_the_admin_interface_shows_all_workers_as_one_gateway(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    admin = Admin(port := free_port())
    text = config(free_port(), proxied("/a", own_backend.url))
    options = ("--workers", "2", "--backend", loop, "--admin", f"{LOOPBACK}:{port}")
    with running(text, tmp_path, *options) as gateway, ExitStack() as stack:
        gateway.port = int(gateway.out.wait_for("test-server listens on ").rpartition(":")[2])
        opened = stack.enter_context(sessions(gateway, 10))
        assert all(map(echoes, opened))
        status = admin.ask("GET", "status")
        assert (status["state"], status["sessions"], status["generation"]) == ("ready", 10, 1)
        assert {it["number"]: it["pid"] for it in status["workers"]} == workers(gateway)
        assert sum(it["sessions"] for it in status["workers"]) == 10

        first = admin.ask("GET", "sessions?limit=6")
        rest = admin.ask("GET", f"sessions?limit=6&after={first['next']}")
        found = [*first["sessions"], *rest["sessions"]]
        assert (first["total"], len(found), rest["next"]) == (10, 10, None)
        assert {it["worker"] for it in found} == {1, 2}
        one = admin.ask("GET", f"sessions/{found[3]['id']}")
        assert (one["worker"], one["messages_in"]) == (found[3]["worker"], 1)

        (pool,) = admin.ask("GET", "pools")
        assert pool["servers"][0]["active"] == 10
        assert admin.ask("POST", "reload")["outcome"] == "unchanged"
        figures = admin.metrics()
        assert sum(figures["easews_sessions_opened_total"]) == 10
        assert sum(figures["easews_reloads_total"]) == 1

        closing = {"ids": [it["id"] for it in found[:7]], "code": 4000, "reason": "enough"}
        admin.ask("POST", "sessions/close", closing)
        assert sum(not echoes(ws) for ws in opened) == 7
