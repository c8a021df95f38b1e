"""A worker is replaced on purpose: its sessions move, and no client notices."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.certificates import Authority
from tests.e2e.gateway import EASEWS, LOOPBACK, PATIENCE, config, free_port, proxied
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.upgraded import Upgraded, echoes, secure_server, upgradable
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

FAILING = Path(__file__).with_name("failing_replacement.py")
COUNT = 40  # of sessions: two batches for each of two workers


class Replaced:
    """A gateway of two workers, with its admin interface."""

    def __init__(self, upgraded: Upgraded, url: str, port: int) -> None:
        self.gateway = upgraded.gateway
        self.url = url
        self.admin = f"{LOOPBACK}:{port}"
        self.upgraded = upgraded

    def ask(self, method: str, path: str, **more: Any) -> Any:
        url = f"http://{self.admin}/{path}"
        return httpx.request(method, url, timeout=PATIENCE, **more)

    def replace(self, number: int) -> Any:
        return self.ask("POST", f"api/v1/workers/{number}/replace", json={}).json()

    def status(self) -> Any:
        return self.ask("GET", "api/v1/status").json()

    def pids(self) -> list[int]:
        return [worker["pid"] for worker in self.status()["workers"]]

    def restarts(self) -> list[int]:
        return [worker["restarts"] for worker in self.status()["workers"]]

    def figure(self, name: str) -> float:
        text = self.ask("GET", "metrics").text
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))


@contextmanager
def served(
    backend: LibraryBackend,
    folder: Path,
    *options: str,
    easews: Sequence[str] = EASEWS,
    more: Sequence[Mapping[str, Any]] = (),
    workers: int = 2,
    **gateway: Any,
) -> Iterator[Replaced]:
    port, web = free_port(), free_port()
    own = {"kind": "Gateway", "name": "gateway", "workers": workers, **gateway}
    own["admin"] = {"address": f"{LOOPBACK}:{port}"}
    text = config(web, proxied("/", backend.url)) + "---\n" + yaml.safe_dump_all([own, *more])
    with upgradable(text, folder, *options, easews=easews) as upgraded:
        upgraded.gateway.out.wait_for("admin listens on")
        it = Replaced(upgraded, f"ws://{LOOPBACK}:{web}/", port)
        until(lambda: it.status().get("state") == "ready")
        until(lambda: {worker["state"] for worker in it.status()["workers"]} <= {"ready"})
        yield it


@contextmanager
def opened(url: str, count: int) -> Iterator[list[ClientConnection]]:
    with ExitStack() as stack:
        opening = (connect(url, close_timeout=0.1) for _ in range(count))
        yield [stack.enter_context(session) for session in opening]


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


class Load(threading.Thread):
    """Echoes in all sessions, and new sessions, until it is stopped; `faults` are what was lost."""

    def __init__(self, url: str, sessions: Sequence[ClientConnection]) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.rounds = self.opened = 0
        self._url, self._sessions, self._over = url, sessions, threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with connect(self._url, close_timeout=0.1) as new:
                    self.opened += 1
                    asked = [f"{self.rounds} {number}" for number in range(len(self._sessions))]
                    for session, text in zip(self._sessions, asked, strict=True):
                        session.send(text)
                    got = [session.recv(PATIENCE) for session in self._sessions]
                    self.faults += [] if got == asked else [f"{got}"]
                    self.faults += [] if echoes(new) else ["a new session does not echo"]
            except (ConnectionClosed, OSError, TimeoutError) as error:
                self.faults.append(repr(error))
                return
            self.rounds += 1

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._over.set()
        self.join(PATIENCE)


def test_sessions_move_when_each_worker_is_replaced_again_and_again(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        served(own_backend, tmp_path, "--backend", loop) as it,
        opened(it.url, COUNT) as sessions,
        Load(it.url, sessions) as load,
    ):
        known = {one["id"] for one in it.ask("GET", "api/v1/sessions").json()["sessions"]}
        pids = {*it.pids()}
        for number in (1, 2, 1, 2):
            rounds = load.rounds
            until(lambda since=rounds: load.rounds > since or bool(load.faults))  # type: ignore[misc]
            told = it.replace(number)
            assert (told["outcome"], told["worker"], told["problems"]) == ("replaced", number, [])
            assert told["moved"] >= COUNT / 4
            assert told["kept_behind"] == 0
            assert told["pid"] == it.pids()[number - 1]
            assert told["pid"] not in pids
            pids.add(told["pid"])
        rounds = load.rounds
        until(lambda: load.rounds > rounds or bool(load.faults))
        load.stop()
        assert load.faults == []
        now = {one["id"] for one in it.ask("GET", "api/v1/sessions").json()["sessions"]}
        assert len(known & now) >= COUNT
        assert it.restarts() == [0, 0]
        assert it.figure("easews_sessions_opened_total") == COUNT + load.opened
        until(lambda: it.figure("easews_sessions_open") == COUNT)


def test_connections_stay_even_after_replacements(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with served(own_backend, tmp_path, "--backend", loop) as it, opened(it.url, 20):
        for number in (1, 2, 1):
            assert it.replace(number)["outcome"] == "replaced"
        with opened(it.url, 20):
            counts = [worker["sessions"] for worker in it.status()["workers"]]
            assert sum(counts) == 40
            assert max(counts) <= 26


def test_sessions_with_tls_stay_and_drain(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    authority, secure = Authority(tmp_path), free_port()
    server = secure_server(secure, proxied("/", own_backend.url), authority)
    drain = {"delay": "6s", "window": "1s"}
    with (
        served(own_backend, tmp_path, "--backend", loop, more=[server], drain=drain) as it,
        opened(it.url, 6) as move,
        ExitStack() as stack,
    ):
        it.gateway.out.wait_for("secure listens on")
        url, trust = f"wss://localhost:{secure}/", authority.client()
        stay = [stack.enter_context(connect(url, ssl=trust)) for _ in range(6)]
        results = [it.replace(1), it.replace(2)]
        assert sum(result["moved"] for result in results) == 6
        assert sum(result["kept_behind"] for result in results) == 6
        refused = it.replace(1)
        assert refused["outcome"] == "refused"
        assert "are draining their sessions" in refused["problems"][0]
        assert it.status()["kept_behind"] == 6
        for ws in stay:
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        until(lambda: it.status()["kept_behind"] == 0)
        assert all(map(echoes, move))
        until(lambda: it.replace(1)["outcome"] == "replaced")


def test_ctl_tells_what_has_moved_or_why_nothing_has(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    def ctl(it: Replaced, number: int) -> subprocess.CompletedProcess[str]:
        command = [*EASEWS, "ctl", "replace-worker", str(number), "--admin", it.admin]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    with served(own_backend, tmp_path, "--backend", loop) as it, opened(it.url, 1):
        number = 1 + [worker["sessions"] for worker in it.status()["workers"]].index(1)
        done = ctl(it, number)
        pid = it.pids()[number - 1]
        told = f"process {pid} serves as worker {number}, and has taken over 1 session\n"
        assert (done.returncode, done.stdout) == (0, told)
        assert "there is no worker with this number (404)" in ctl(it, 3).stderr
    (alone := tmp_path / "alone").mkdir()
    with served(own_backend, alone, "--backend", loop, workers=1) as it:
        done = ctl(it, 1)
        assert done.returncode == 1
        assert "this gateway has no workers" in done.stderr
        assert "(409)" in done.stderr


# -- one of the processes fails ------------------------------------------------------------------


@contextmanager
def failing(fault: str, backend: LibraryBackend, folder: Path, loop: str) -> Iterator[Replaced]:
    """A gateway in which a process fails in this way from now on."""
    file = folder / "fault"
    easews = (*EASEWS[:-2], str(FAILING), str(file))
    with served(backend, folder, "--backend", loop, easews=easews) as it:
        file.write_text(fault)
        yield it


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("start", "the new process does not serve: it has ended with status 7 before it served"),
        ("hang", "the new process does not serve: it has ended by SIGKILL before it served"),
        ("channel", "no channel can be opened between the processes: Too many open files"),
        ("ready 1 KILL", "the other process is gone"),
        ("ready 1 STOP", "it does not answer"),
        ("taken 1 KILL", "the other process is gone"),
        ("taken 1 STOP", "it does not answer"),
    ],
)
def test_the_old_process_goes_on_when_the_new_one_fails(
    fault: str, why: str, loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        failing(fault, own_backend, tmp_path, loop) as it,
        opened(it.url, COUNT) as sessions,
    ):
        before = it.pids()
        told = it.replace(1)
        assert (told["outcome"], told["moved"], told["pid"]) == ("refused", 0, before[0])
        assert why in told["problems"][0]
        assert it.pids() == before
        assert all(map(echoes, sessions))
        with opened(it.url, 10) as new:
            assert all(map(echoes, new))
        assert it.restarts() == [0, 0]
        (tmp_path / "fault").unlink(missing_ok=True)
        assert it.replace(1)["outcome"] == "replaced"
        assert all(map(echoes, sessions))


def test_what_had_moved_is_told_when_the_new_process_dies_later(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        failing("taken 2 KILL", own_backend, tmp_path, loop) as it,
        opened(it.url, COUNT) as sessions,
    ):
        told = it.replace(1)
        assert told["outcome"] == "refused"
        lost = re.search(r"(\d+) sessions had moved, and are lost with it", told["problems"][0])
        assert lost is not None
        assert list(map(echoes, sessions)).count(True) == COUNT - int(lost[1])
        with opened(it.url, 10) as new:
            assert all(map(echoes, new))


@pytest.mark.parametrize("fault", ["batch 1 KILL", "batch 2 KILL", "done 1 KILL"])
def test_the_new_process_goes_on_with_what_it_has_when_the_old_one_dies(
    fault: str, loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        failing(fault, own_backend, tmp_path, loop) as it,
        opened(it.url, COUNT) as sessions,
    ):
        before = it.pids()
        told = it.replace(1)
        assert told["outcome"] == "replaced"
        assert "its other sessions are lost" in told["problems"][0]
        assert told["pid"] == it.pids()[0] != before[0]
        survived = list(map(echoes, sessions)).count(True)
        others = it.status()["workers"][1]["sessions"]
        assert survived == others + told["moved"]
        with opened(it.url, 10) as new:
            assert all(map(echoes, new))
        assert it.replace(1)["outcome"] == "replaced"


# -- at the same time ----------------------------------------------------------------------------


def test_replacements_reloads_and_upgrades_wait_for_each_other(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        served(own_backend, tmp_path, "--backend", loop) as it,
        opened(it.url, COUNT) as sessions,
    ):
        results: list[Any] = []
        file = tmp_path / "config.yaml"
        file.write_text(file.read_text().replace("workers: 2", "workers: 2\ndrain: {window: 3s}"))
        asking = [
            threading.Thread(target=lambda: results.append(it.replace(1))),
            threading.Thread(target=lambda: results.append(it.replace(2))),
            threading.Thread(
                target=lambda: results.append(it.ask("POST", "api/v1/reload", json={}).json())
            ),
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        outcomes = sorted(result["outcome"] for result in results)
        assert outcomes == ["reloaded", "replaced", "replaced"]
        assert it.status()["generation"] == 2
        assert all(map(echoes, sessions))
        it.gateway.log._lines.clear()
        assert "kept_behind=0" in it.upgraded.upgrade()
        assert it.replace(1)["outcome"] == "replaced"
        assert all(map(echoes, sessions))


@pytest.mark.parametrize("when", ["worker 1 is replaced", "worker replaced"])
def test_a_stop_during_a_replacement_ends_all_processes(
    when: str, loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        ExitStack() as stack,
        served(own_backend, tmp_path, "--backend", loop) as it,
        opened(it.url, COUNT),
    ):
        command = [*EASEWS, "ctl", "replace-worker", "1", "--admin", it.admin]
        stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
        it.gateway.log.wait_for(when)  # then it is stopped
