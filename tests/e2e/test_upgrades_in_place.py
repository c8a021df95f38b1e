"""A new program takes over from a running one, and the pid stays: a helper serves meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from tests.certificates import Authority
from tests.e2e.gateway import LOOPBACK, PATIENCE, Route, config, free_port, proxied
from tests.e2e.kept import Kept, children, kept, unpinged, upgraded_under_load, wait_until
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.notified import notify_socket
from tests.e2e.upgraded import admin_at, ask_admin, echoes, secure_server
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are read in /proc")

FILTERS = """
import anyio
from easews import Filter

class Waiting(Filter):
    \"\"\"Never answers.\"\"\"
    kind = "Waiting"
    async def handle(self, ctx):
        print("it waits", flush=True)
        await anyio.sleep_forever()

class Stubborn(Filter):
    \"\"\"Does not let itself be cancelled.\"\"\"
    kind = "Stubborn"
    async def handle(self, ctx):
        print("it waits", flush=True)
        while True:
            try:
                await anyio.sleep(0.05)
            except BaseException:
                pass
"""


def with_filters(folder: Path) -> tuple[str, str]:
    """The options for the filters above. The old program hands over without waiting for them."""
    (folder / "filters.py").write_text(FILTERS)
    for patience in ("REQUEST", "LATE"):
        (folder / f"old {patience}_PATIENCE").write_text("0.1")
    return "--watch-plugins", str(folder / "filters.py")


def slow_to_drain(port: int, *routes: Route) -> str:
    """A config for `busy`."""
    waits = Route("/waits", [{"kind": "Waiting", "name": "w"}])
    return config(port, waits, *routes) + f"---\n{DRAIN}\n"


DRAIN = "{kind: Gateway, name: g, drain: {deadline: 60s}}"


@contextmanager
def busy(it: Kept, path: str = "/waits") -> Iterator[None]:
    """The old program hands over, and drains a request until the block ends."""
    with socket.create_connection((LOOPBACK, it.gateway.port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        it.gateway.out.wait_for("it waits")
        it.ask()
        it.gateway.log.wait_for("INFO handed over")
        yield


# -- it comes back to its pid --------------------------------------------------------------------

SESSIONS, UPGRADES = map(int, os.environ.get("EASEWS_UPGRADE_LOAD", "60 3").split())


def test_process_1_is_upgraded_again_and_again_and_no_client_notices(
    loop: str, tmp_path: Path
) -> None:
    behind = free_port()
    text = config(free_port(), unpinged(behind))
    with kept(text, tmp_path, "--backend", loop, is_first=True) as it:
        asyncio.run(upgraded_under_load(it, behind, SESSIONS, UPGRADES))
        wait_until(lambda: not children(it.pid))  # helpers that have ended are no zombies


@pytest.mark.parametrize("is_first", [True, False], ids=["process 1", "--keep-pid"])
def test_sessions_with_tls_are_drained_before_it_comes_back(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, is_first: bool
) -> None:
    plain, secure = free_port(), free_port()
    authority = Authority(tmp_path)
    route = proxied("/", own_backend.url)
    server = secure_server(secure, route, authority)
    text = config(plain, route) + "---\n" + yaml.safe_dump(server)
    with kept(text, tmp_path, "--backend", loop, is_first=is_first) as it:
        it.gateway.out.wait_for("secure listens on")
        trust = authority.client()
        with (
            connect(f"ws://{LOOPBACK}:{plain}/") as moves,
            connect(f"wss://localhost:{secure}/", ssl=trust) as stays,
        ):
            assert "moved=1 kept_behind=0" in it.upgrade()
            it.gateway.log.wait_for("handed over", "moved=1 kept_behind=1")  # to the helper
            with pytest.raises(ConnectionClosed, match="1001"):
                stays.recv(PATIENCE)
            assert echoes(moves)
            with connect(f"wss://localhost:{secure}/", ssl=trust) as new:
                assert echoes(new)


def test_who_asks_over_the_admin_interface_hears_that_the_pid_stays(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    text = config(free_port(), proxied("/", own_backend.url)) + admin_at(port)
    with kept(text, tmp_path, "--backend", loop) as it, connect(it.gateway.ws("/")) as ws:
        told = ask_admin(port, "upgrade", {})
        assert (told["outcome"], told["pid"], told["moved"]) == ("upgraded", it.pid, 1)
        it.version += 1  # it is the same again
        it.gateway.log.wait_for("INFO handed over", f" pid={it.pid} ")
        status = ask_admin(port, "status")
        assert (status["pid"], status["sessions"]) == (it.pid, 1)
        assert echoes(ws)


def test_systemd_hears_of_no_other_process(
    tmp_path: Path, own_backend: LibraryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with notify_socket(f"@easews-in-place-{os.getpid()}") as reports:
        monkeypatch.setenv("NOTIFY_SOCKET", reports.address)
        with kept(config(free_port(), proxied("/", own_backend.url)), tmp_path) as it:
            assert reports.wait_for("READY")["READY"] == "1"
            it.upgrade()
            while "READY" not in (report := reports.next()):  # the new program's
                assert "MAINPID" not in report


# -- what comes in between -----------------------------------------------------------------------


@pytest.mark.parametrize("is_first", [True, False], ids=["process 1", "--keep-pid"])
def test_a_stop_while_the_old_program_drains_ends_all(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, is_first: bool
) -> None:
    text = slow_to_drain(free_port(), proxied("/", own_backend.url))
    with (
        kept(text, tmp_path, "--backend", loop, *with_filters(tmp_path), is_first=is_first) as it,
        connect(it.gateway.ws("/")) as ws,
    ):
        with busy(it):
            it.tell(signal.SIGTERM)
            with pytest.raises(ConnectionClosed, match="1001"):
                ws.recv(PATIENCE)
        assert it.gateway.wait() == 0
        assert not it.gateway.log.having(f"new process {it.own_pid}")


@pytest.mark.parametrize("is_first", [True, False], ids=["process 1", "--keep-pid"])
@pytest.mark.parametrize("place", ["start", "ready"])
@pytest.mark.parametrize("role", ["helper", "new"])
def test_a_stop_while_a_process_starts_ends_all(
    own_backend: LibraryBackend, tmp_path: Path, is_first: bool, role: str, place: str
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with kept(text, tmp_path, is_first=is_first) as it, connect(it.gateway.ws("/")) as ws:
        with it.held(role, place):
            it.tell(signal.SIGTERM)
        with pytest.raises(ConnectionClosed, match="1001"):
            ws.recv(PATIENCE)
        assert it.gateway.wait() == 0


def test_a_helper_that_gets_the_same_signal_drains_all_the_same(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = slow_to_drain(free_port(), proxied("/", own_backend.url))
    with (
        kept(text, tmp_path, "--backend", loop, *with_filters(tmp_path)) as it,
        connect(it.gateway.ws("/")) as ws,
    ):
        with busy(it):
            for pid in (it.helper(), it.pid):  # as systemd and terminals do
                os.kill(pid, signal.SIGTERM)
            with pytest.raises(ConnectionClosed, match="1001"):
                ws.recv(PATIENCE)
        assert it.gateway.wait() == 0


def test_a_reload_while_the_old_program_drains_is_the_helpers(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port, route = free_port(), proxied("/old", own_backend.url)
    options = ("--backend", loop, *with_filters(tmp_path))
    with kept(slow_to_drain(port, route), tmp_path, *options) as it:
        with busy(it):
            it.write(slow_to_drain(port, route, proxied("/new", own_backend.url)))
            it.tell(signal.SIGUSR2)
            it.gateway.log.wait_for("SIGUSR2 is ignored: the upgrade before is not over yet")
            it.tell(signal.SIGHUP)
            it.gateway.log.wait_for("INFO reloaded")
        with connect(it.gateway.ws("/new")) as ws:
            it.wait_until_it_is_back()
            assert echoes(ws)


# -- one of them fails ---------------------------------------------------------------------------


def test_a_new_program_that_cannot_begin_leaves_its_clients_to_the_helper(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with (
        kept(text, tmp_path, "--backend", loop, ends=1) as it,
        connect(it.gateway.ws("/")) as ws,
    ):
        with it.held("new", "start"):
            it.write(text.replace("pools", "polls"))
        told = it.gateway.log.wait_for(f"process {it.pid} has not taken over again")
        assert f"process {it.helper()} serves on in its place" in told
        assert echoes(ws)
        with connect(it.gateway.ws("/")) as other:
            assert echoes(other)


def test_process_1_stays_for_the_helper_if_the_new_program_cannot_begin(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with (
        kept(text, tmp_path, is_first=True, ends=1) as it,
        connect(it.gateway.ws("/")) as ws,
    ):
        with it.held("new", "start"):
            it.write(text.replace("pools", "polls"))
        it.gateway.log.wait_for("process 1 has not taken over again")
        assert echoes(ws)


def test_a_program_that_is_not_able_to_begin_changes_nothing(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with kept(text, tmp_path, "--backend", loop) as it, connect(it.gateway.ws("/")) as ws:
        it.write(text.replace("pools", "polls"))
        it.ask()
        it.gateway.log.wait_for("ERROR not upgraded, this process goes on")
        assert echoes(ws)
        it.write(text)
        it.version = 1
        it.upgrade()
        assert echoes(ws)


@pytest.mark.parametrize(
    ("place", "patience"), [("ready", "helper START_PATIENCE"), ("taken", "helper BATCH_PATIENCE")]
)
def test_a_new_program_that_hangs_gets_nothing_more(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, place: str, patience: str
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    (tmp_path / patience).write_text("2")
    with kept(text, tmp_path, "--backend", loop) as it, connect(it.gateway.ws("/")) as ws:
        with it.held("new", place):
            it.gateway.log.wait_for(f"process {it.pid} has not taken over again")
            assert echoes(ws)
        for _ in range(4):  # whoever accepts
            with connect(it.gateway.ws("/")) as other:
                assert echoes(other)
        assert echoes(ws)
    ended = it.gateway.log.having("INFO session id=")
    assert len(ended) == 5, ended  # none was in two processes


def test_a_filter_that_does_not_end_ends_with_the_old_program(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    stubborn = Route("/stubborn", [{"kind": "Stubborn", "name": "s"}])
    text = config(free_port(), stubborn, proxied("/", own_backend.url))
    text += f"---\n{DRAIN.replace('60s', '0s')}\n"
    with (
        kept(text, tmp_path, "--backend", loop, *with_filters(tmp_path)) as it,
        connect(it.gateway.ws("/")) as ws,
        busy(it, "/stubborn"),
    ):
        it.wait_until_it_is_back()
        it.gateway.log.wait_for("a filter goes on although it was cancelled")
        assert echoes(ws)


def test_without_its_helper_the_new_program_begins_afresh(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = slow_to_drain(free_port(), proxied("/", own_backend.url))
    options = ("--backend", loop, *with_filters(tmp_path))
    with kept(text, tmp_path, *options) as it, busy(it):
        os.kill(it.helper(), signal.SIGKILL)
        it.gateway.log.wait_for("the helper has ended: the new program begins at once")
        it.gateway.log.wait_for(f"new process {it.pid}: version 2")
        wait_until(lambda: len(it.gateway.out.having("listens on")) == 3)
        with connect(it.gateway.ws("/")) as ws:
            assert echoes(ws)


def test_a_helper_outlives_the_process_that_it_helps(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = slow_to_drain(free_port(), proxied("/", own_backend.url))
    options = ("--backend", loop, *with_filters(tmp_path))
    with (
        kept(text, tmp_path, *options, ends=-signal.SIGKILL) as it,
        connect(it.gateway.ws("/")) as ws,
        busy(it),
    ):
        helper = it.helper()
        it.tell(signal.SIGKILL)
        it.gateway.log.wait_for(f"process {it.pid} is gone: process {helper} serves on")
        assert echoes(ws)
        os.kill(helper, signal.SIGTERM)
