"""Several workers are upgraded, and the pid of the process that has started them stays."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.e2e.gateway import PATIENCE, Route, config, free_port, proxied
from tests.e2e.kept import Kept, children, kept, unpinged, upgraded_under_load, wait_until
from tests.e2e.library import LibraryBackend, connect
from tests.e2e.upgraded import echoes
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are read in /proc")

WORKERS = ("--workers", "2")
#: Each way to keep the pid and each event loop, once.
both = pytest.mark.parametrize(
    ("loop", "is_first"),
    [("asyncio", True), ("trio", False)],
    ids=["asyncio, process 1", "trio, --keep-pid"],
)


def slow_to_drain(port: int, *routes: Route) -> str:
    """A config with which old workers take a while until they end."""
    return config(port, *routes) + "---\n{kind: Gateway, name: g, drain: {delay: 3s}}\n"


def descriptors(pid: int) -> int:
    return len([*Path(f"/proc/{pid}/fd").iterdir()])


def has_only_workers(it: Kept, count: int) -> bool:
    """Whether it has so many children, and none of them has ended."""
    try:
        found = [Path(f"/proc/{pid}/stat").read_text() for pid in children(it.pid)]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return [text.rpartition(")")[2].split()[0] == "Z" for text in found] == [False] * count


# -- it comes back to its pid --------------------------------------------------------------------


@both
def test_workers_are_upgraded_again_and_again_and_no_client_notices(
    loop: str, tmp_path: Path, is_first: bool
) -> None:
    behind = free_port()
    options = (*WORKERS, "--backend", loop)
    with kept(config(free_port(), unpinged(behind)), tmp_path, *options, is_first=is_first) as it:
        before = descriptors(it.pid)
        asyncio.run(upgraded_under_load(it, behind, count=20, upgrades=3))
        wait_until(lambda: has_only_workers(it, 2))  # helpers that have ended are no zombies
        assert descriptors(it.pid) <= before


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3)])
def test_the_new_config_says_how_many_workers_there_are_in_the_end(
    own_backend: LibraryBackend, tmp_path: Path, before: int, after: int
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))

    def with_workers(count: int) -> str:
        return f"{text}---\n{{kind: Gateway, name: g, workers: {count}}}\n"

    with kept(with_workers(before), tmp_path) as it, connect(it.gateway.ws("/")) as ws:
        it.write(with_workers(after))
        assert "moved=1 kept_behind=0" in it.upgrade()
        wait_until(lambda: has_only_workers(it, 0 if after == 1 else after))
        assert echoes(ws)


# -- what comes in between -----------------------------------------------------------------------


@both
def test_a_stop_while_the_old_workers_drain_ends_all(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, is_first: bool
) -> None:
    text = slow_to_drain(free_port(), proxied("/", own_backend.url))
    options = (*WORKERS, "--backend", loop)
    with (
        kept(text, tmp_path, *options, is_first=is_first) as it,
        connect(it.gateway.ws("/")) as ws,
    ):
        it.ask()
        it.gateway.log.wait_for("INFO handed over")
        it.tell(signal.SIGTERM)
        with pytest.raises(ConnectionClosed, match="1001"):
            ws.recv(PATIENCE)
        assert it.gateway.wait() == 0
        assert not it.gateway.log.having(f"new process {it.own_pid}")


@pytest.mark.parametrize("place", ["start", "ready"])
@pytest.mark.parametrize("role", ["helper", "new"])
def test_a_stop_while_a_process_starts_ends_all(
    own_backend: LibraryBackend, tmp_path: Path, role: str, place: str
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with kept(text, tmp_path, *WORKERS) as it, connect(it.gateway.ws("/")) as ws:
        with it.held(role, place):
            it.tell(signal.SIGTERM)
        with pytest.raises(ConnectionClosed, match="1001"):
            ws.recv(PATIENCE)
        assert it.gateway.wait() == 0


def test_a_reload_while_the_old_workers_drain_is_the_helpers(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port, route = free_port(), proxied("/old", own_backend.url)
    with kept(slow_to_drain(port, route), tmp_path, *WORKERS) as it:
        it.ask()
        it.gateway.log.wait_for("INFO handed over")
        it.write(slow_to_drain(port, route, proxied("/new", own_backend.url)))
        it.tell(signal.SIGHUP)
        it.gateway.log.wait_for("INFO reloaded")
        with connect(it.gateway.ws("/new")) as ws:
            it.wait_until_it_is_back()
            assert echoes(ws)


# -- one of them fails ---------------------------------------------------------------------------


def test_a_program_that_is_not_able_to_begin_changes_nothing(
    own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    with kept(text, tmp_path, *WORKERS) as it, connect(it.gateway.ws("/")) as ws:
        it.write(text.replace("pools", "polls"))
        it.ask()
        it.gateway.log.wait_for("ERROR not upgraded, this process goes on")
        assert echoes(ws)
        it.write(text)
        it.version = 1
        it.upgrade()
        assert echoes(ws)


@both
def test_a_new_program_that_cannot_begin_leaves_its_clients_to_the_helper(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, is_first: bool
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    options = (*WORKERS, "--backend", loop)
    with (
        kept(text, tmp_path, *options, is_first=is_first, ends=1) as it,
        connect(it.gateway.ws("/")) as ws,
    ):
        with it.held("new", "start"):
            it.write(text.replace("pools", "polls"))
        it.gateway.log.wait_for(f"process {it.own_pid} has not taken over again")
        assert echoes(ws)
        with connect(it.gateway.ws("/")) as other:
            assert echoes(other)


def test_a_new_program_that_hangs_gets_nothing_more(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    text = config(free_port(), proxied("/", own_backend.url))
    (tmp_path / "helper START_PATIENCE").write_text("4")
    options = (*WORKERS, "--backend", loop)
    with kept(text, tmp_path, *options) as it, connect(it.gateway.ws("/")) as ws:
        with it.held("new", "ready"):
            it.gateway.log.wait_for(f"process {it.pid} has not taken over again")
            assert echoes(ws)
        for _ in range(4):  # whoever accepts
            with connect(it.gateway.ws("/")) as other:
                assert echoes(other)
        assert echoes(ws)


@both
def test_without_its_helper_the_new_program_begins_afresh(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, is_first: bool
) -> None:
    text = slow_to_drain(free_port(), proxied("/", own_backend.url))
    options = (*WORKERS, "--backend", loop)
    with kept(text, tmp_path, *options, is_first=is_first) as it:
        it.ask()
        it.gateway.log.wait_for("INFO handed over")
        os.kill(it.helper(), signal.SIGKILL)
        it.gateway.log.wait_for("the helper has ended: the new program begins at once")
        it.gateway.log.wait_for(f"new process {it.own_pid}: version 2")
        wait_until(lambda: len(it.gateway.out.having("listens on")) == 3)
        with connect(it.gateway.ws("/")) as ws:
            assert echoes(ws)
        wait_until(lambda: has_only_workers(it, 2))
