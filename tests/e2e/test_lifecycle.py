"""The process: what it says when it starts, what it logs, and how it stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from tests.e2e import raw
from tests.e2e.gateway import (
    EASEWS,
    LOOPBACK,
    PATIENCE,
    Gateway,
    config,
    free_port,
    proxied,
    running,
)
from tests.e2e.raw import Peer, RawBackend

DOWN = "ws://127.0.0.1:9"
#: The exit status when sessions or requests had to be cut.
CUT = 3
#: Seconds that sessions get to end when the gateway stops.
STOP_TIMEOUT = 5.0


@pytest.fixture
def own_backend() -> Iterator[RawBackend]:
    backend = RawBackend(0)
    yield backend
    backend.close()


def text_for(backend: RawBackend) -> str:
    return config(free_port(), proxied("/ws", f"ws://{LOOPBACK}:{backend.port}"))


def text_with(backend: RawBackend, drain: str) -> str:
    return f"{text_for(backend)}---\n{{kind: Gateway, name: g, drain: {drain}}}\n"


@contextmanager
def session(
    gateway: Gateway, backend: RawBackend, target: str = "/ws"
) -> Iterator[tuple[Peer, Peer]]:
    """Client's and backend's end of a session that is open."""
    with Peer(socket.create_connection((LOOPBACK, gateway.port))) as client:
        client.send(raw.handshake(target))
        peer, _ = backend.accept_session()
        assert client.head().status == 101
        yield client, peer


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_closes_both_sides_with_1001(
    loop: str, tmp_path: Path, own_backend: RawBackend, stop: signal.Signals
) -> None:
    with (
        running(text_for(own_backend), tmp_path, "--backend", loop) as gateway,
        session(gateway, own_backend) as (client, peer),
    ):
        gateway.process.send_signal(stop)
        assert client.frame().close[0] == 1001
        assert peer.frame().close[0] == 1001
        client.send(raw.close_frame(1001))
        peer.send(raw.close_frame(1001, masked=False))
        peer.close()
        assert client.rest() == b""
        client.close()
        assert gateway.wait() == 0
        gateway.log.wait_for("INFO stopped ", "sessions=1 cut_sessions=0 cut_requests=0 seconds=")


def test_a_stop_with_nothing_open_is_told(loop: str, tmp_path: Path) -> None:
    text = config(free_port(), proxied("/ws", DOWN))
    with running(text, tmp_path, "--backend", loop) as gateway:
        gateway.terminate()
        assert gateway.wait() == 0
        counts = "sessions=0 cut_sessions=0 cut_requests=0"
        gateway.log.wait_for(f"INFO stopped pid={gateway.process.pid} {counts} seconds=")


def test_a_second_signal_stops_at_once(loop: str, tmp_path: Path, own_backend: RawBackend) -> None:
    with (
        running(text_for(own_backend), tmp_path, "--backend", loop, ends=CUT) as gateway,
        session(gateway, own_backend) as (client, peer),
    ):
        gateway.terminate()
        # Neither answers its Close, so the session would be waited for.
        assert client.frame().close[0] == 1001
        assert peer.frame().close[0] == 1001
        began = time.monotonic()
        gateway.terminate()
        gateway.wait()
        gateway.log.wait_for("WARNING 1 session did not end in time: cut")
        assert time.monotonic() - began < STOP_TIMEOUT


def test_who_does_not_answer_its_close_is_cut_at_the_deadline(
    loop: str, tmp_path: Path, own_backend: RawBackend
) -> None:
    text = text_with(own_backend, "{deadline: 300ms}")
    with (
        running(text, tmp_path, "--backend", loop, ends=CUT) as gateway,
        session(gateway, own_backend) as (client, _),
    ):
        gateway.terminate()
        assert client.frame().close[0] == 1001
        gateway.log.wait_for("WARNING 1 session did not end in time: cut")
        gateway.log.wait_for("INFO stopped ", "sessions=0 cut_sessions=1 cut_requests=0")
        gateway.terminate()  # too late to change the status


def test_during_the_delay_new_clients_are_served_and_a_second_signal_ends_it(
    loop: str, tmp_path: Path, own_backend: RawBackend
) -> None:
    text = text_with(own_backend, "{delay: 1h}")
    with running(text, tmp_path, "--backend", loop) as gateway:
        gateway.terminate()
        gateway.log.wait_for("stopping: nothing is open, and requests are served for drain.delay")
        with session(gateway, own_backend) as (client, peer):
            client.send(raw.frame(raw.TEXT, b"still served"))
            assert peer.frame().payload == b"still served"
            client.send(raw.close_frame(1000))
            peer.send(raw.close_frame(1000, masked=False))
            assert client.frame().close[0] == 1000
        gateway.log.wait_for("INFO session ")
        gateway.terminate()
        assert gateway.wait() == 0


def test_a_second_signal_ends_it_while_sessions_get_their_close(
    loop: str, tmp_path: Path, own_backend: RawBackend
) -> None:
    text = text_with(own_backend, "{window: 1h, perSecond: 1}")
    with (
        running(text, tmp_path, "--backend", loop, ends=CUT) as gateway,
        ExitStack() as sessions,
    ):
        for _ in range(20):
            sessions.enter_context(session(gateway, own_backend))
        gateway.terminate()
        gateway.log.wait_for("stopping: 20 sessions are open, of which 1", "will get a Close")
        gateway.terminate()
        gateway.wait()


def test_sighup_is_ignored_while_it_stops(
    loop: str, tmp_path: Path, own_backend: RawBackend
) -> None:
    with (
        running(text_for(own_backend), tmp_path, "--backend", loop, ends=CUT) as gateway,
        session(gateway, own_backend) as (client, _),
    ):
        gateway.terminate()
        assert client.frame().close[0] == 1001
        gateway.process.send_signal(signal.SIGHUP)
        gateway.log.wait_for("WARNING SIGHUP is ignored: easews is stopping")
        assert gateway.process.poll() is None  # it waits for the two to answer its Close
        gateway.terminate()
        gateway.wait()


def test_a_stop_tells_what_it_waits_for(loop: str, tmp_path: Path, own_backend: RawBackend) -> None:
    with (
        running(text_for(own_backend), tmp_path, "--backend", loop, ends=CUT) as gateway,
        session(gateway, own_backend),
    ):
        gateway.terminate()
        gateway.log.wait_for("INFO stopping: 1 session is open; one more signal ends it at once")
        gateway.terminate()
        gateway.wait()


def connected(port: int) -> Peer:
    """A connection to who will listen there soon."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return Peer(socket.create_connection((LOOPBACK, port)))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_it_serves_although_nobody_reads_where_it_listens(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "config.yaml").write_text(config(port, proxied("/ws", DOWN)))
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [*EASEWS, "run", str(tmp_path / "config.yaml")], stdout=writing, stderr=subprocess.PIPE
    ) as process:
        os.close(writing)
        try:
            with connected(port) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.head().status == 404
            process.terminate()
            _, log = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, b"Traceback" in log, b"BrokenPipe" in log) == (0, False, False)


def test_no_new_connection_is_taken_while_it_stops(
    loop: str, tmp_path: Path, own_backend: RawBackend
) -> None:
    with (
        running(text_for(own_backend), tmp_path, "--backend", loop, ends=CUT) as gateway,
        session(gateway, own_backend) as (client, _),
    ):
        gateway.terminate()
        assert client.frame().close[0] == 1001
        with pytest.raises(ConnectionRefusedError):
            connect_until_refused(gateway.port)
        assert gateway.process.poll() is None
        gateway.terminate()
        gateway.wait()


def connect_until_refused(port: int) -> None:
    """Connect again and again: what came before the stop may still be in the backlog."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(ConnectionResetError):  # the listener was closed in this very moment
            socket.create_connection((LOOPBACK, port)).close()


def failure(text: str, folder: Path) -> list[str]:
    """Run what cannot run: the lines that it says, and a status that is not zero."""
    file = folder / "config.yaml"
    file.write_text(text)
    gateway = Gateway(file)
    try:
        assert gateway.wait() == 1
        return gateway.log.all().splitlines()
    finally:
        gateway.close()


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        (line,) = failure(config(port, proxied("/ws", DOWN)), tmp_path)
    for text in ("test-server", f"{LOOPBACK}:{port}", "already in use", "choose another port"):
        assert text in line


def test_a_bad_file_is_a_line_for_each_fault(tmp_path: Path) -> None:
    text = config(free_port(), proxied("/ws", DOWN, loadBalance={"polcy": "roundRobin"}))
    first, second = failure(text.replace("rules:", "rulez:"), tmp_path)
    assert "did you mean rules" in first.replace("'", "").replace("`", "")
    assert "did you mean policy" in second.replace("'", "").replace("`", "")
    assert re.search(r"config.yaml:\d+:\d+: ", first)


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "nowhere.yaml")
    try:
        assert gateway.wait() != 0
        (line,) = gateway.log.all().splitlines()
        assert "nowhere.yaml" in line
    finally:
        gateway.close()


def test_a_wrong_command_line_has_a_status_of_its_own(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "config.yaml", "--backend", "none")
    try:
        assert gateway.wait() == 2
    finally:
        gateway.close()


def test_what_it_listens_on_is_told_for_each_server(loop: str, tmp_path: Path) -> None:
    with running(config(free_port(), proxied("/ws", DOWN)), tmp_path, "--backend", loop) as gateway:
        expected = f"test-server listens on http://{LOOPBACK}:{gateway.port}"
        assert gateway.out.having(expected)


def test_it_is_logged_whether_the_relay_is_compiled(
    loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EASEWS_PURE", "1")
    with running(config(free_port(), proxied("/ws", DOWN)), tmp_path, "--backend", loop) as gateway:
        gateway.log.wait_for("INFO easews-wsproxy ", " (relay: pure Python)")


# The access log


def test_a_session_is_a_line_when_it_opens_and_one_when_it_ends(
    loop: str, tmp_path: Path, own_backend: RawBackend
) -> None:
    options = ("--backend", loop, "--log-format", "json")
    with (
        running(text_for(own_backend), tmp_path, *options) as gateway,
        session(gateway, own_backend, "/ws?token=secret") as (client, peer),
    ):
        opened = json.loads(gateway.log.wait_for('"event": "request"'))
        client.send(raw.frame(raw.TEXT, b"hello"))
        assert peer.frame().payload == b"hello"
        client.send(raw.close_frame(4000, "enough"))
        assert peer.frame().close == (4000, "enough")
        peer.send(raw.close_frame(4000, masked=False))
        peer.close()
        assert client.rest()
        client.close()
        ended = json.loads(gateway.log.wait_for('"event": "session"'))
    assert (opened["status"], opened["target"]) == (101, "/ws?token=")
    assert opened["id"] == ended["id"]
    assert (ended["closed_by"], ended["code"]) == ("client", 4000)
    assert (ended["messages_in"], ended["messages_out"]) == (1, 0)
    hello, close = raw.frame(raw.TEXT, b"hello"), raw.close_frame(4000, "enough")
    assert ended["bytes_in"] == len(hello + close)
    assert ended["backend"] == f"ws://{LOOPBACK}:{own_backend.port}"
    assert ended["seconds"] >= 0
    assert ended["handshake_ms"] > 0
    assert not gateway.log.having("secret")


def test_a_session_is_two_lines_of_text(loop: str, tmp_path: Path, own_backend: RawBackend) -> None:
    with (
        running(text_for(own_backend), tmp_path, "--backend", loop) as gateway,
        session(gateway, own_backend, "/ws?token=secret") as (client, peer),
    ):
        gateway.log.wait_for("request ", "target=/ws?token=", "status=101")
        client.reset()
        assert peer.frame().close[0] == 1001
        peer.close()
        gateway.log.wait_for("session ", "closed_by=client", "code=1006", "path=/ws")
    assert not gateway.log.having("secret")


def test_a_refused_request_is_one_line(loop: str, tmp_path: Path) -> None:
    text = config(free_port(), proxied("/ws", DOWN))
    with running(text, tmp_path, "--backend", loop) as gateway:
        with Peer(socket.create_connection((LOOPBACK, gateway.port))) as client:
            client.send(raw.head("GET /no%0awhere?token=secret HTTP/1.1", [("Host", "a")]))
            assert client.head().status == 404
        gateway.log.wait_for("method=GET", "target=/no%0awhere?token=", "status=404")
    assert not gateway.log.having("secret")
