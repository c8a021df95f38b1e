"""Several workers, one of which hangs or dies: nothing of the others, and no count, is lost."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
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
from tests.e2e.gateway import running as running_gateway
from tests.e2e.library import LibraryBackend
from tests.e2e.test_workers import code, echoes, sessions, workers
from websockets.sync.client import ClientConnection

#: A filter that never comes back, in a package that is not installed.
HANGS = """
from easews import Filter, hookimpl

class Hangs(Filter):
    kind = "Hangs"

    async def handle(self, ctx):
        while True:
            pass

@hookimpl
def easews_filters():
    return [Hangs]
"""
#: `easews`, where a worker may be silent for 4 seconds, and has little time to stop; with the
#: package in a folder.
QUICK = """
import sys
from easews.operate.workers import ending, supervision
supervision.SIGN_EVERY, supervision.MOST_SILENT = 0.5, 4.0
ending.GRACE, ending.ANSWER_PATIENCE = 0.1, 2.0
sys.path.insert(0, {folder!r})
from easews.cli import main
main()
"""


@contextmanager
def running(
    loop: str, folder: Path, *routes: Route, easews: tuple[str, ...] = EASEWS
) -> Iterator[tuple[Gateway, httpx.Client]]:
    """A gateway of two workers, and a client of its admin interface."""
    text = config(free_port(), *routes)
    text += f"---\n{{kind: Gateway, name: g, workers: 2, admin: {{address: '{LOOPBACK}:0'}}}}"
    with running_gateway(text, folder, "--backend", loop, easews=easews) as gateway:
        gateway.port = int(gateway.out.wait_for("test-server listens on ").rpartition(":")[2])
        with httpx.Client(base_url=gateway.admin_url(), timeout=PATIENCE) as admin:
            try:
                yield gateway, admin
            except BaseException:  # one that hangs would outlive its parent, and keep the log open
                for pid in workers(gateway).values():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                raise


def quick(folder: Path) -> tuple[str, ...]:
    """The command, with a filter that hangs."""
    add_package(folder, "hangs", HANGS)
    return sys.executable, "-c", QUICK.format(folder=str(folder))


def wait_for_next(gateway: Gateway, number: int, before: int) -> None:
    """Wait until another process than `before` serves as this worker."""
    while workers(gateway)[number] == before:
        gateway.log.wait_for_more()


def until(holds: Callable[[], bool]) -> None:
    give_up = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < give_up
        sleep(0.05)


def figure(admin: httpx.Client, sample: str, *labels: str) -> float:
    """The sum of a metric."""
    lines = admin.get("/metrics").text.splitlines()
    name = sample + "{"
    found = [line for line in lines if line.startswith(name) and all(it in line for it in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def test_a_worker_that_hangs_is_ended_and_replaced_and_the_other_goes_on(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    route = proxied("/a", own_backend.url)
    with (
        running(loop, tmp_path, route, easews=quick(tmp_path)) as (gateway, admin),
        sessions(gateway, 10) as opened,
    ):
        assert all(map(echoes, opened))
        pages = admin.get("/api/v1/sessions").json()["sessions"]
        before = workers(gateway)
        os.kill(before[1], signal.SIGSTOP)
        gateway.log.wait_for("WARNING worker 1 has not answered for 0.5 s")
        gateway.log.wait_for("ERROR worker 1 is ended: it has not answered for 4 s")
        gateway.log.wait_for("ERROR worker 1 has ended by SIGKILL; another is started at once")
        wait_for_next(gateway, 1, before[1])
        assert workers(gateway)[2] == before[2]
        others = sum(it["worker"] == 2 for it in pages)
        assert sum(map(echoes, opened)) == others > 0
        with sessions(gateway, 4) as new:
            assert all(map(echoes, new))


#: A worker may take 3.2 seconds for a stop that has no cap. With this one it takes 4.
CAPPED = "---\n{kind: Gateway, name: g, drain: {window: 0, deadline: 1s, perSecond: 4}}\n"


@contextmanager
def capped(
    loop: str, backend: LibraryBackend, folder: Path, count: int, ends: int = 0
) -> Iterator[tuple[Gateway, list[ClientConnection]]]:
    """Two workers with a cap, `count` sessions, and the exit status."""
    text = config(free_port(), proxied("/a", backend.url)) + CAPPED
    options = ("--workers", "2", "--backend", loop)
    with (
        running_gateway(text, folder, *options, easews=quick(folder), ends=ends) as gateway,
        sessions(gateway, count) as opened,
    ):
        yield gateway, opened


def test_a_stop_with_a_cap_takes_its_time(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with capped(loop, own_backend, tmp_path, 16) as (gateway, opened):
        gateway.terminate()
        assert [code(ws) for ws in opened] == [1001] * 16
        assert gateway.wait() == 0


def test_a_worker_that_hangs_in_a_stop_with_a_cap_is_ended(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with capped(loop, own_backend, tmp_path, 8, ends=1) as (gateway, opened):
        gateway.log.wait_for("worker 2 serves")
        os.kill(workers(gateway)[1], signal.SIGSTOP)
        gateway.terminate()
        gateway.log.wait_for("ERROR worker 1 is ended: it has not answered for 4 s")
        assert gateway.wait() == 1
        assert {code(ws) for ws in opened} == {1001, None}


def test_the_log_has_where_a_worker_hangs(loop: str, tmp_path: Path) -> None:
    route = Route("/hangs", [{"kind": "Hangs", "name": "endless"}])
    with running(loop, tmp_path, route, easews=quick(tmp_path)) as (gateway, _):
        with pytest.raises(httpx.HTTPError):
            httpx.get(gateway.http("/hangs"), timeout=PATIENCE)
        gateway.log.wait_for("Fatal Python error: Aborted")
        gateway.log.wait_for("hangs.py", "in handle")
        gateway.log.wait_for("has ended by SIGABRT; another is started at once")


@pytest.mark.parametrize("count", [1, 2])
def test_a_filter_that_does_not_start_is_told_in_one_line(
    count: int, loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_package(tmp_path, "fragile", FRAGILE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    file = tmp_path / "config.yaml"
    file.write_text(config(free_port(), Route("/", [{"kind": "Fragile", "name": "db"}])))
    gateway = Gateway(file, "--workers", str(count), "--backend", loop)
    try:
        assert gateway.wait() == 1
        (line,) = gateway.log.all().splitlines()
        assert "filter db of root (package fragile) cannot start: OSError: no such database" in line
    finally:
        gateway.close()


def test_what_a_killed_worker_has_counted_stays_in_the_metrics(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        running(loop, tmp_path, proxied("/a", own_backend.url)) as (gateway, admin),
        sessions(gateway, 10) as opened,
    ):
        assert all(map(echoes, opened))
        before = workers(gateway)
        assert figure(admin, "easews_sessions_opened_total") == 10
        os.kill(before[1], signal.SIGKILL)
        gateway.log.wait_for("worker 1 has ended")
        assert figure(admin, "easews_sessions_opened_total") == 10
        wait_for_next(gateway, 1, before[1])
        with sessions(gateway, 4) as new:
            assert all(map(echoes, new))
            assert figure(admin, "easews_sessions_opened_total") == 14
        assert 0 < figure(admin, "easews_sessions_open") < 10


def test_a_server_that_is_drained_while_a_worker_starts_is_drained_there_too(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with running(loop, tmp_path, proxied("/a", own_backend.url)) as (gateway, admin):
        gateway.log.wait_for("worker 2 serves")
        before = workers(gateway)
        os.kill(before[1], signal.SIGKILL)
        gateway.log.wait_for("worker 1 has ended")
        answer = admin.post("/api/v1/servers/drain", json={"url": own_backend.url})
        assert answer.status_code == 200, answer.text
        assert workers(gateway)[1] == before[1]  # it is still starting
        wait_for_next(gateway, 1, before[1])
        drained = 'state="drained"'
        until(lambda: figure(admin, "easews_backend_state", drained) == 2)
        admin.post("/api/v1/servers/undrain", json={"url": own_backend.url})
        assert figure(admin, "easews_backend_state", drained) == 0


def test_a_tap_ends_when_its_worker_dies(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        running(loop, tmp_path, proxied("/a", own_backend.url)) as (gateway, admin),
        sessions(gateway, 1) as opened,
    ):
        assert all(map(echoes, opened))
        (session,) = admin.get("/api/v1/sessions").json()["sessions"]
        with admin.stream("GET", f"/api/v1/sessions/{session['id']}/tap") as answer:
            lines = map(json.loads, answer.iter_lines())
            assert next(lines)["tapping"] == session["id"]
            number: int = session["worker"]
            before = workers(gateway)[number]
            os.kill(before, signal.SIGKILL)
            cause = f"worker {number} has ended"
            assert [*lines] == [{"ended": {"by": "proxy", "code": 1006, "cause": cause}}]
        wait_for_next(gateway, number, before)


def test_pages_go_on_and_sessions_are_closed_when_a_worker_dies(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with (
        running(loop, tmp_path, proxied("/a", own_backend.url)) as (gateway, admin),
        sessions(gateway, 12) as opened,
    ):
        assert all(map(echoes, opened))
        every = admin.get("/api/v1/sessions").json()["sessions"]
        before = workers(gateway)[1]
        seen: list[dict[str, Any]] = []
        after: str | None = ""
        while after is not None:
            query = f"limit=3&after={after}" if after else "limit=3"
            page = admin.get(f"/api/v1/sessions?{query}").json()
            seen += page["sessions"]
            if not after:
                os.kill(before, signal.SIGKILL)
            after = page["next"]
        ids = [it["id"] for it in seen]
        left = [it["id"] for it in every if it["worker"] == 2]
        assert len(ids) == len(set(ids))
        assert set(left) <= set(ids)
        assert [it["id"] for it in seen[3:]] == [it for it in left if it not in ids[:3]]
        closing = {"ids": [it["id"] for it in every], "code": 4000, "reason": "enough"}
        answer = admin.post("/api/v1/sessions/close", json=closing)
        assert answer.json() == {"closed": len(left)}
        wait_for_next(gateway, 1, before)
