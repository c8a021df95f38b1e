"""Load generator and echo backend, on each other; what is read from /proc."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread
from typing import get_args

import pytest
from bench.loads import EndingKind
from bench.measure import cores, cpu_seconds, process_trees, pss_kib
from bench.tools import (
    BenchError,
    EchoBackend,
    LoadGenerator,
    build_tools,
    free_port,
    refuse_taken,
)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the benchmark is for Linux"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler"),
    pytest.mark.xdist_group("bench"),  # one build of the tools
]


@pytest.fixture(scope="module")
def backend() -> Iterator[EchoBackend]:
    build_tools()
    with EchoBackend(cores()[1], free_port()) as backend:
        yield backend


@pytest.fixture
def generator(backend: EchoBackend) -> Iterator[LoadGenerator]:
    with LoadGenerator(cores()[1], backend.port) as load:
        yield load
    backend.wait_for_endings(left=0)


def test_every_open_session_echoes(generator: LoadGenerator) -> None:
    assert generator.open(3, 2)["opened"] == 3
    for size in (1, 125, 126, 65535, 65536, 300_000):
        done = generator.echo(size, 4, 0.01)
        assert done["echoes"] >= 3 * 4
        assert done["p50_us"] <= done["p99_us"]


@pytest.mark.parametrize("ending", get_args(EndingKind))
def test_sessions_are_opened_and_ended(generator: LoadGenerator, ending: EndingKind) -> None:
    assert generator.churn(50, 4, ending)["churned"] == 50


def test_sessions_talk_at_set_times_while_a_crowd_ends(
    generator: LoadGenerator, backend: EchoBackend
) -> None:
    assert generator.open(2, 2)["opened"] == 2
    assert generator.crowd(200, 8)["opened"] == 200
    done = generator.talk(125, 10, 0.1)
    assert done["echoes"] == 2 * 10
    assert done["p50_us"] <= done["p99_us"] <= done["worst_us"]
    backend.wait_for_endings(left=2)


def test_sessions_that_outlive_their_clients_are_told(
    generator: LoadGenerator, backend: EchoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.tools.ENDING_SECONDS", 0.0)
    generator.open(3, 1)
    with pytest.raises(BenchError, match="3 sessions are open at the backend"):
        backend.wait_for_endings(left=0)
    monkeypatch.undo()


def test_sessions_go_on_beside_one_that_floods(generator: LoadGenerator) -> None:
    assert generator.open(2, 2)["opened"] == 2
    assert generator.flood("0200", "000178")["opened"] == 1
    done = generator.echo(125, 1, 0.05)
    assert done["echoes"] >= 2
    assert done["flooded"] > 0
    assert generator.churn(5, 2, "close")["churned"] == 5


def test_what_the_server_does_wrong_is_told() -> None:
    build_tools()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        LoadGenerator(cores()[1], server.getsockname()[1]) as load,
    ):
        thread = Thread(target=answer_once, args=(server, b"HTTP/1.1 404 Not Found\r\n\r\n"))
        thread.start()
        with pytest.raises(BenchError, match="404 Not Found"):
            load.open(1, 1)
        thread.join()


def answer_once(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BenchError, match=f"the proxy cannot have port {port}"):
            refuse_taken(port, "the proxy")


def test_children_are_counted() -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(); input()'])"
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        both, (child,) = [parent.pid], set(process_trees([parent.pid])) - {parent.pid}
        assert pss_kib(both) > pss_kib([child]) > 0
        assert cpu_seconds(both) > cpu_seconds([child]) > 0
        parent.communicate(b"\n")
