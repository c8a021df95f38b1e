"""A new process takes over from a running one, and no client notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from tests.certificates import Authority
from tests.e2e.gateway import (
    LOOPBACK,
    PATIENCE,
    Gateway,
    config,
    free_port,
    proxied,
    while_it_starts,
)
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.notified import notify_socket
from tests.e2e.streams_of_frames import Sessions
from tests.e2e.upgraded import (
    Upgraded,
    admin_at,
    ask_admin,
    echoes,
    keeps_file_until_the_last_process_ends,
    kill,
    pid_in,
    secure_server,
    unix_config,
    upgradable,
)
from tests.nameserver import nameserver
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are read in /proc")

FAILING = Path(__file__).with_name("failing_upgrade.py")
VERSIONS = Path(__file__).with_name("new_program.py")
#: As in easews.operate.handover.protocol.
BATCH = 16


# -- under load ----------------------------------------------------------------------------------

#: EASEWS_UPGRADE_LOAD has other numbers than those of every day, as in "5000 10".
SESSIONS, UPGRADES = map(int, os.environ.get("EASEWS_UPGRADE_LOAD", "200 3").split())


@pytest.mark.parametrize("workers", [1, 2])
def test_upgrades_under_load_lose_nothing_and_refuse_nobody(
    workers: int, loop: str, tmp_path: Path
) -> None:
    behind = free_port()

    async def upgrade(upgraded: Upgraded, sessions: Sessions) -> None:
        port = upgraded.gateway.port
        await sessions.open(port, SESSIONS)
        newcomers = [asyncio.create_task(sessions.come_and_go(port)) for _ in range(2)]
        for _ in range(UPGRADES):
            line = await asyncio.to_thread(upgraded.upgrade)
            assert int(line.partition("moved=")[2].split()[0]) >= SESSIONS, line
            assert int(line.partition("kept_behind=")[2]) <= 2, (
                line
            )  # of those that leave just then
            assert not sessions.faults
            assert not any(newcomer.done() for newcomer in newcomers)
        sessions.stopping = True
        await asyncio.gather(*newcomers)
        await sessions.stop()

    async def test(upgraded: Upgraded) -> None:
        sessions = Sessions()
        server = await sessions.serve(behind)
        try:
            await upgrade(upgraded, sessions)
        finally:
            sessions.stopping = True
            await sessions.close()
            server.close()
        assert not sessions.faults

    route = proxied("/", f"ws://{LOOPBACK}:{behind}", keepAlive={"interval": "0s"})
    options = ("--backend", loop, "--workers", str(workers))
    with upgradable(config(free_port(), route), tmp_path, *options) as upgraded:
        asyncio.run(test(upgraded))


def test_a_stop_during_an_upgrade_ends_both_processes(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with ExitStack() as stack:
        # A client that has no session yet is waited for, so the upgrade goes on until the stop.
        late = stack.enter_context(socket.socket())
        upgraded = stack.enter_context(upgradable(text, tmp_path, "--backend", loop))
        gateway = upgraded.gateway
        late.connect((LOOPBACK, gateway.port))
        late.sendall(b"GET / HTTP/1.1\r\n")
        upgraded.ask()
        gateway.out.wait_for_count("listens on", 2)


def test_a_server_that_is_drained_stays_so(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    admin = admin_at(port)
    text = config(free_port(), proxied("/", own_backend.url)) + admin

    def states() -> list[str]:
        return [server["state"] for pool in ask_admin(port, "pools") for server in pool["servers"]]

    with upgradable(text, tmp_path, "--backend", loop) as upgraded:
        ask_admin(port, "servers/drain", {"url": own_backend.url})
        assert states() == ["drained"]
        upgraded.upgrade()
        assert states() == ["drained"]
        undrained = ask_admin(port, "servers/undrain", {"url": own_backend.url})
        assert undrained == {"undrained": True}
        assert states() == ["up"]


# -- what moves, and what does not ---------------------------------------------------------------


def test_a_faulty_config_changes_nothing(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with (
        upgradable(text, tmp_path, "--backend", loop) as upgraded,
        connect(upgraded.gateway.ws("/")) as ws,
    ):
        (tmp_path / "config.yaml").write_text(text.replace("pools", "polls"))
        upgraded.ask()
        upgraded.gateway.log.wait_for("ERROR not upgraded, this process goes on")
        assert echoes(ws)
        with connect(upgraded.gateway.ws("/")) as other:
            assert echoes(other)

        (tmp_path / "config.yaml").write_text(text)
        upgraded.gateway.log._lines.clear()
        assert "moved=1 kept_behind=0" in upgraded.upgrade()
        assert echoes(ws)


def test_faults_of_the_config_are_told_in_the_log(tmp_path: Path) -> None:
    text = config(free_port(), proxied("/", "ws://127.0.0.1:1"))
    with upgradable(text, tmp_path, "--log-format", "json") as upgraded:
        (tmp_path / "config.yaml").write_text(text.replace("pools", "polls"))
        upgraded.ask()
        upgraded.gateway.log.wait_for("not upgraded, this process goes on: the new process cannot")
        lines = [json.loads(line) for line in upgraded.gateway.log.having("")]
    fault, _ = [line["event"] for line in lines if line["level"] == "error"]
    assert "config.yaml:" in fault
    assert "did you mean 'pools'" in fault


def test_what_a_new_process_cannot_do_is_told(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    admin = admin_at(port)
    text = config(free_port(), proxied("/", own_backend.url)) + admin
    with (
        upgradable(text, tmp_path, "--backend", loop) as upgraded,
        socket.create_server((LOOPBACK, 0)) as taken,
    ):
        other = config(taken.getsockname()[1], proxied("/", own_backend.url)) + admin
        (tmp_path / "config.yaml").write_text(other)
        told = ask_admin(port, "upgrade", {})
        assert told["outcome"] == "refused"
        assert "already in use" in told["problems"][0]
        upgraded.gateway.log.wait_for("ERROR", "already in use")


def test_sessions_with_tls_stay_behind_and_drain(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    plain, secure = free_port(), free_port()
    authority = Authority(tmp_path)
    route = proxied("/", own_backend.url)
    server = secure_server(secure, route, authority)
    text = config(plain, route) + "---\n" + yaml.safe_dump(server)
    with upgradable(text, tmp_path, "--backend", loop) as upgraded:
        upgraded.gateway.out.wait_for("secure listens on")
        trust = authority.client()
        with (
            connect(f"ws://{LOOPBACK}:{plain}/") as moves,
            connect(f"wss://localhost:{secure}/", ssl=trust) as stays,
        ):
            assert "moved=1 kept_behind=1" in upgraded.upgrade()
            with pytest.raises(ConnectionClosed) as closed:
                stays.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            assert echoes(moves)
            with connect(f"wss://localhost:{secure}/", ssl=trust) as new:
                assert echoes(new)


def test_sessions_whose_path_is_gone_stay_behind_and_drain(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    stay, goes = proxied("/stays", own_backend.url), proxied("/goes", own_backend.url)
    with (
        upgradable(config(port, stay, goes), tmp_path, "--backend", loop) as upgraded,
        connect(upgraded.gateway.ws("/stays")) as moves,
        connect(upgraded.gateway.ws("/goes")) as drained,
    ):
        (tmp_path / "config.yaml").write_text(config(port, stay))
        assert "moved=1 kept_behind=1" in upgraded.upgrade()
        upgraded.gateway.log.wait_for("stays in this process, and is drained: its path is gone")
        with pytest.raises(ConnectionClosed):
            drained.recv(PATIENCE)
        assert echoes(moves)


def test_a_server_that_listens_elsewhere_now_does_so(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    old, new = free_port(), free_port()
    route = proxied("/", own_backend.url)
    with (
        upgradable(config(old, route), tmp_path, "--backend", loop) as upgraded,
        connect(f"ws://{LOOPBACK}:{old}/") as drained,
    ):
        (tmp_path / "config.yaml").write_text(config(new, route))
        assert "moved=0 kept_behind=1" in upgraded.upgrade()
        with connect(f"ws://{LOOPBACK}:{new}/") as other:
            assert echoes(other)
        with pytest.raises(ConnectionRefusedError):
            connect(f"ws://{LOOPBACK}:{old}/")
        with pytest.raises(ConnectionClosed):
            drained.recv(PATIENCE)


def test_a_unix_socket_keeps_its_file_until_the_last_process_ends(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    path = Path(f"/tmp/easews-{os.getpid()}-{loop}.sock")
    text = unix_config(path, proxied("/", own_backend.url))
    keeps_file_until_the_last_process_ends(path, text, tmp_path, "--backend", loop)


def test_a_kept_connection_is_told_to_close_with_its_next_answer(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with (
        upgradable(text, tmp_path, "--backend", loop) as upgraded,
        socket.create_connection((LOOPBACK, upgraded.gateway.port), PATIENCE) as kept,
    ):
        asked_at = 0.0
        while True:  # until the new process serves
            kept.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = kept.recv(65536).lower()
            assert answer.startswith(b"http/1.1 426")
            if b"connection: close" in answer or b", close" in answer:
                break
            if not asked_at:
                upgraded.ask()
            asked_at = asked_at or time.monotonic()
            time.sleep(0.05)
        assert asked_at
        upgraded.pid = pid_in(upgraded.wait_until_handed_over())


def test_who_asks_over_the_admin_interface_is_told_and_the_counts_hold(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    admin = admin_at(port)
    text = config(free_port(), proxied("/", own_backend.url)) + admin
    with (
        upgradable(text, tmp_path, "--backend", loop) as upgraded,
        connect(upgraded.gateway.ws("/a")) as first,
        connect(upgraded.gateway.ws("/b")) as second,
    ):
        before = ask_admin(port, "sessions")["sessions"]
        told = ask_admin(port, "upgrade", {})
        assert (told["outcome"], told["moved"], told["kept_behind"]) == ("upgraded", 2, 0)
        upgraded.pid = told["pid"]
        status = ask_admin(port, "status")
        assert (status["pid"], status["sessions"]) == (upgraded.pid, 2)
        after = ask_admin(port, "sessions")["sessions"]
        kept = ("id", "client", "server", "route", "pipeline", "backend", "path", "opened")
        assert [[it[name] for name in kept] for it in after] == [
            [it[name] for name in kept] for it in before
        ]
        assert _active(port) == 2
        assert echoes(first)
        second.close()
        upgraded.gateway.log.wait_for("session id=", "closed_by=client", "path=/b")
        assert _active(port) == 1
        ask_admin(port, f"sessions/{before[0]['id']}/close", {"code": 4000, "reason": "found"})
        with pytest.raises(ConnectionClosed, match="4000"):
            first.recv(PATIENCE)


def test_a_close_in_the_moment_of_a_move_is_done_or_refused(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    admin = admin_at(port)
    text = config(free_port(), proxied("/", own_backend.url)) + admin

    def is_closed(id: str) -> bool:
        try:
            answer = ask_admin(port, f"sessions/{id}/close", {"code": 4000, "reason": "found"})
        except OSError:  # no connection, or a status that says that it is not done
            return False
        assert answer == {"closed": 1}
        return True

    with upgradable(text, tmp_path, "--backend", loop) as upgraded, ExitStack() as stack:
        paths = [f"/{number}" for number in range(6 * BATCH)]
        opened = {
            path: stack.enter_context(connect(upgraded.gateway.ws(path), close_timeout=0.1))
            for path in paths
        }
        ids = {it["path"]: it["id"] for it in ask_admin(port, "sessions")["sessions"]}
        upgraded.ask()
        upgraded.gateway.out.wait_for_count("admin listens on", 2)
        closed = {path: is_closed(ids[path]) for path in reversed(paths)}
        upgraded.pid = pid_in(upgraded.wait_until_handed_over())
        assert any(closed.values())
        for path, ws in opened.items():
            if closed[path]:
                with pytest.raises(ConnectionClosed, match="4000"):
                    ws.recv(PATIENCE)
            else:
                assert echoes(ws)


def test_a_tap_of_a_session_that_moves_says_so(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    admin = admin_at(port)
    text = config(free_port(), proxied("/", own_backend.url)) + admin

    def tap(id: str) -> Any:
        return urlopen(f"http://{LOOPBACK}:{port}/api/v1/sessions/{id}/tap", timeout=PATIENCE)

    with (
        upgradable(text, tmp_path, "--backend", loop) as upgraded,
        connect(upgraded.gateway.ws("/")) as ws,
    ):
        (session,) = ask_admin(port, "sessions")["sessions"]
        with tap(session["id"]) as before:
            json.loads(before.readline())
            upgraded.upgrade()
            assert [json.loads(line) for line in before] == [{"moved": session["id"]}]
        with tap(session["id"]) as after:
            assert json.loads(after.readline())["tapping"] == session["id"]
            assert echoes(ws)
            assert json.loads(after.readline())["from"] == "client"


def test_a_session_counts_for_a_server_whose_name_is_looked_up_later(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    admin = admin_at(port)
    with nameserver() as dns:
        dns.records["a.test", "A"] = [LOOPBACK]
        resolve = {"mode": "each", "nameservers": [dns.address], "timeout": "1s", "minTtl": "1s"}
        url = f"ws://a.test:{own_backend.url.rpartition(':')[2]}"
        text = config(free_port(), proxied("/", url, resolve=resolve)) + admin
        with (
            upgradable(text, tmp_path, "--backend", loop) as upgraded,
            connect(upgraded.gateway.ws("/")) as ws,
        ):
            assert _active(port) == 1
            dns.silent.add("a.test")
            upgraded.upgrade()
            dns.silent.clear()
            until = time.monotonic() + PATIENCE
            while (
                not (servers := ask_admin(port, "pools")[0]["servers"]) and time.monotonic() < until
            ):
                time.sleep(0.05)
            assert [server["active"] for server in servers] == [1]
            assert echoes(ws)


def _active(port: int) -> int:
    (pool,) = ask_admin(port, "pools")
    (server,) = pool["servers"]
    return int(server["active"])


def test_systemd_is_told_which_process_is_in_charge(
    loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with notify_socket(f"@easews-upgrade-{os.getpid()}-{loop}") as reports:
        monkeypatch.setenv("NOTIFY_SOCKET", reports.address)
        text = config(free_port(), proxied("/", "ws://127.0.0.1:1"))
        with upgradable(text, tmp_path, "--backend", loop) as upgraded:
            assert reports.wait_for("READY")["READY"] == "1"
            upgraded.upgrade()
            assert reports.wait_for("MAINPID") == {"MAINPID": str(upgraded.pid)}
            assert reports.wait_for("READY")["READY"] == "1"
            upgraded.gateway.wait()
            reports.forget()
            os.kill(upgraded.pid, signal.SIGTERM)
            assert reports.wait_for("STOPPING")["STOPPING"] == "1"
            upgraded.gateway.log.all()  # it has ended, too


def test_a_sigusr2_that_comes_while_it_starts_counts_once_it_serves(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    os.mkfifo(file)
    gateway = Gateway(file, "--backend", loop)
    upgraded = Upgraded(gateway)
    try:
        while_it_starts(file, config(free_port(), proxied("/", own_backend.url)), upgraded.ask)
        upgraded.pid = pid_in(upgraded.wait_until_handed_over())
        gateway.wait_until_it_listens()
        with connect(gateway.ws("/")) as ws:
            assert echoes(ws)
    finally:
        upgraded.kill()


@pytest.mark.parametrize("place", ["start", "ready"])
def test_a_reload_that_is_asked_of_the_old_process_meanwhile_is_the_new_ones(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, place: str
) -> None:
    port, route = free_port(), proxied("/old", own_backend.url)
    (tmp_path / "version").write_text("1")
    program = (sys.executable, "-W", "always::ResourceWarning", str(VERSIONS), str(tmp_path))
    text = config(port, route)
    with upgradable(text, tmp_path, "--backend", loop, easews=program) as upgraded:
        log = upgraded.gateway.log
        (waits := tmp_path / f"new {place}").touch()
        upgraded.ask()
        log.wait_for(f"waits at {place}")
        (tmp_path / "config.yaml").write_text(config(port, route, proxied("/new", own_backend.url)))
        upgraded.gateway.process.send_signal(signal.SIGHUP)
        log.wait_for("SIGHUP: the config is read again")
        waits.unlink()
        upgraded.pid = pid_in(upgraded.wait_until_handed_over())
        log.wait_for("INFO reloaded" if place == "ready" else "nothing has changed")
        assert upgraded.gateway.wait() == 0
        with connect(upgraded.gateway.ws("/new")) as ws:
            assert echoes(ws)


# -- one of the two fails ------------------------------------------------------------------------


@contextmanager
def failing(
    fault: str, backend: LibraryBackend, folder: Path, count: int, tmp: str = "asyncio"
) -> Iterator[tuple[Upgraded, list[bool]]]:
    """An upgrade in which a process fails in this way; in the list which of `count` sessions are
    still there afterwards.
    """
    file = folder / "fault"
    file.write_text(fault)
    easews = (sys.executable, "-W", "always::ResourceWarning", str(FAILING), str(file))
    text = config(free_port(), proxied("/", backend.url))
    survived: list[bool] = []
    gateway: Gateway | None = None
    (folder / "config.yaml").write_text(text)
    gateway = Gateway(folder / "config.yaml", "--backend", tmp, easews=easews)
    try:
        gateway.wait_until_it_listens()
        upgraded = Upgraded(gateway)
        with ExitStack() as stack:
            opening = (connect(gateway.ws("/"), close_timeout=0.1) for _ in range(count))
            sessions = [stack.enter_context(session) for session in opening]
            upgraded.ask()
            yield upgraded, survived
            survived += [echoes(ws) for ws in sessions]
            with connect(gateway.ws("/")) as new:
                assert echoes(new)
    finally:
        if (new_pid := file.with_name("new.pid")).exists():
            kill(int(new_pid.read_text()))
        gateway.close()


COUNT = BATCH + 4
#: The new process: listeners come; ready is sent; twice a batch comes and taken is sent; done.
#: How many sessions it has then.
NEW_STEPS = {1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: BATCH, 7: BATCH, 8: BATCH}


@pytest.mark.slow  # on one Python is enough
@pytest.mark.parametrize("how", ["kill", "hang"])
@pytest.mark.parametrize("number", NEW_STEPS)
def test_what_a_new_process_has_not_taken_goes_on_in_the_old_one(
    own_backend: LibraryBackend, tmp_path: Path, number: int, how: str
) -> None:
    with failing(f"new {number} {how}", own_backend, tmp_path, COUNT) as (upgraded, survived):
        upgraded.gateway.log.wait_for("ERROR not upgraded, this process goes on")
    assert survived.count(True) == COUNT - NEW_STEPS[number]
    lost = upgraded.gateway.log.having("sessions had moved, and are lost with it")
    assert bool(lost) == bool(NEW_STEPS[number])


@pytest.mark.parametrize(("how", "lost"), [("odd-ready", 0), ("odd-taken", BATCH)])
def test_messages_that_nobody_understands_end_the_upgrade_only(
    own_backend: LibraryBackend, tmp_path: Path, how: str, lost: int
) -> None:
    with failing(f"new 0 {how}", own_backend, tmp_path, COUNT) as (upgraded, survived):
        upgraded.gateway.log.wait_for("ERROR not upgraded, this process goes on")
    assert survived.count(True) >= COUNT - lost


#: The old process: listeners are sent; ready comes; twice a batch is sent and taken comes; done.
OLD_STEPS = {1: 0, 2: 0, 3: 0, 4: 0, 5: BATCH, 6: BATCH, 7: BATCH, 8: COUNT, 9: COUNT, 10: COUNT}


@pytest.mark.slow
@pytest.mark.parametrize("number", OLD_STEPS)
def test_what_a_new_process_has_got_goes_on_when_the_old_one_is_killed(
    own_backend: LibraryBackend, tmp_path: Path, number: int
) -> None:
    with failing(f"old {number} kill", own_backend, tmp_path, COUNT) as (upgraded, survived):
        upgraded.gateway.process.wait(PATIENCE)
        until = time.monotonic() + PATIENCE
        while len(upgraded.gateway.out.having("listens on")) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        if number == 1:
            return  # the other one has not been told where to listen, and may be at its start
    assert survived.count(True) == OLD_STEPS[number]


def test_a_stop_while_the_new_process_starts_ends_both(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    file = tmp_path / "fault"
    file.write_text("new 1 hang")
    (tmp_path / "config.yaml").write_text(text)
    easews = (sys.executable, str(FAILING), str(file))
    gateway = Gateway(tmp_path / "config.yaml", easews=easews)
    try:
        gateway.wait_until_it_listens()
        with connect(gateway.ws("/")) as ws:
            gateway.process.send_signal(signal.SIGUSR2)
            gateway.log.wait_for("the new process fails at step 1: hang")
            gateway.terminate()
            with pytest.raises(ConnectionClosed, match="1001"):
                ws.recv(PATIENCE)
        assert gateway.wait() == 0
        gateway.log.all()  # no process has it open any more
    finally:
        kill(int(file.with_name("new.pid").read_text()))
        gateway.close()


@pytest.mark.parametrize("what", ["other-relay", "other-engine"])
def test_a_state_of_another_version_stays_behind_and_drains(
    own_backend: LibraryBackend, tmp_path: Path, what: str
) -> None:
    with failing(f"nobody 0 {what}", own_backend, tmp_path, 3) as (upgraded, survived):
        upgraded.gateway.log.wait_for("the new process has another version of")
        upgraded.gateway.log.wait_for("handed over", "moved=0", "kept_behind=3")
        assert upgraded.gateway.wait() == 0
    assert survived == [False] * 3


def test_a_new_process_with_too_few_files_takes_what_it_has_room_for(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with failing("nobody 0 few-files", own_backend, tmp_path, COUNT) as (upgraded, survived):
        upgraded.gateway.log.wait_for("the limit of open files is reached in the new process")
        upgraded.gateway.log.wait_for("handed over")
        assert upgraded.gateway.wait() == 0
    assert 0 < survived.count(False) <= COUNT
