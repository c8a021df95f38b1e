"""A gateway that systemd has started: what it reports, and the sockets that it is passed."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from urllib.request import urlopen

import pytest
from tests.e2e.gateway import EASEWS, LOOPBACK, PATIENCE, Gateway, Route, config, free_port, running
from tests.e2e.notified import Reports, notify_socket

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")

MOCK = {"kind": "Mock", "name": "mock", "rules": [{"code": 200, "body": "hello"}]}
#: Seconds of the watchdog.
WATCHDOG = 0.2
BLOCKING = """
import time
from pathlib import Path
from easews import Context, Filter

class Blocks(Filter):
    kind = "Blocks"

    async def handle(self, ctx: Context) -> None:
        Path("{folder}/blocks").touch()
        while not Path("{folder}/go-on").exists():
            time.sleep(0.01)
"""


@pytest.fixture(params=["file", "abstract"])
def reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    with TemporaryDirectory() as folder:
        path = f"{folder}/notify"
        with notify_socket(f"@{path}" if request.param == "abstract" else path) as reports:
            monkeypatch.setenv("NOTIFY_SOCKET", reports.address)
            yield reports


def greeting(port: int) -> str:
    with urlopen(f"http://{LOOPBACK}:{port}/", timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
        return text


def test_ready_reloading_and_stopping_are_reported(
    loop: str, reports: Reports, tmp_path: Path
) -> None:
    text = config(free_port(), Route("/", [MOCK]))
    with running(text, tmp_path, "--backend", loop) as gateway:
        ready = reports.wait_for("READY")
        assert ready == {"READY": "1", "STATUS": "generation 1, 0 open sessions"}

        before = time.monotonic_ns() // 1000
        (tmp_path / "config.yaml").write_text(text.replace("hello", "good-bye"))
        gateway.process.send_signal(signal.SIGHUP)
        began = int(reports.wait_for("RELOADING")["MONOTONIC_USEC"])
        assert before < began < time.monotonic_ns() // 1000
        assert reports.wait_for("READY")["STATUS"] == "generation 2, 0 open sessions"

        (tmp_path / "config.yaml").write_text("kind: Nonsense")
        gateway.process.send_signal(signal.SIGHUP)
        reports.wait_for("RELOADING")
        assert reports.wait_for("READY")["STATUS"] == "generation 2, 0 open sessions"

        gateway.terminate()
        assert reports.wait_for("STOPPING")["STATUS"] == "stopping"
        gateway.wait()


def test_a_gateway_that_does_not_start_is_never_ready(reports: Reports, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        file = tmp_path / "config.yaml"
        file.write_text(config(taken.getsockname()[1], Route("/", [MOCK])))
        gateway = Gateway(file)
        assert gateway.wait() == 1
        gateway.close()
    with pytest.raises(BlockingIOError):
        reports.next(0)


def test_the_watchdog_notices_an_event_loop_that_hangs(
    loop: str, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", str(int(WATCHDOG * 1e6)))
    (tmp_path / "blocks.py").write_text(BLOCKING.format(folder=tmp_path))
    options = ("--backend", loop, "--watch-plugins", str(tmp_path / "blocks.py"))
    text = config(free_port(), Route("/", [{"kind": "Blocks", "name": "blocks"}, MOCK]))
    with running(text, tmp_path, *options) as gateway:
        for _ in range(3):
            assert reports.wait_for("WATCHDOG")["WATCHDOG"] == "1"
        client = Thread(target=greeting, args=[gateway.port])
        client.start()
        while not (tmp_path / "blocks").exists():
            time.sleep(0.01)
        reports.forget()
        with pytest.raises(TimeoutError):
            reports.next(10 * WATCHDOG)
        (tmp_path / "go-on").touch()
        reports.wait_for("WATCHDOG")
        client.join(PATIENCE)


@contextmanager
def activated(
    folder: Path, text: str, *listen: str, between: tuple[str, ...] = ()
) -> Iterator[Gateway]:
    """A gateway whose sockets are opened before it is started, which the first client causes."""
    file = folder / "config.yaml"
    file.write_text(text)
    gateway = Gateway(file, easews=("systemd-socket-activate", *listen, *between, *EASEWS))
    try:
        gateway.log.wait_for("Listening on")
        yield gateway
        gateway.terminate()
        assert gateway.wait() == 0, gateway.log.all()
        assert ": ResourceWarning: " not in gateway.log.all()
    finally:
        gateway.close()


def test_a_server_listens_on_the_socket_that_is_passed(
    loop: str, systemd: None, tmp_path: Path
) -> None:
    passed, other = free_port(), free_port()
    text = config(passed, Route("/", [MOCK]))
    listen = ("-l", f"{LOOPBACK}:{passed}", "-l", f"{LOOPBACK}:{other}")
    with activated(tmp_path, text, *listen, "--fdname=first:second") as gateway:
        assert greeting(passed) == "hello"
        gateway.out.wait_for(f"test-server listens on http://{LOOPBACK}:{passed}")
        gateway.log.wait_for("WARNING", f"{LOOPBACK}:{other} (second) is used by no server")


def test_a_server_listens_on_the_socket_of_its_name_and_a_reload_keeps_it(
    systemd: None, tmp_path: Path
) -> None:
    passed, configured = free_port(), free_port()
    text = config(configured, Route("/", [MOCK]))
    listen = ("-l", f"{LOOPBACK}:{passed}", "--fdname=test-server")
    with activated(tmp_path, text, *listen) as gateway:
        assert greeting(passed) == "hello"
        (tmp_path / "config.yaml").write_text(text.replace("hello", "good-bye"))
        gateway.process.send_signal(signal.SIGHUP)
        gateway.log.wait_for("reloaded generation=2")
        assert greeting(passed) == "good-bye"


def test_a_removed_server_gets_its_socket_again(systemd: None, tmp_path: Path) -> None:
    passed = free_port()
    both = config(passed, Route("/", [MOCK]))
    other = both.replace("test-server", "other").replace(str(passed), str(free_port()))
    listen = ("-l", f"{LOOPBACK}:{passed}")
    with activated(tmp_path, both, *listen) as gateway:
        assert greeting(passed) == "hello"
        for generation, text in enumerate((other, both), 2):
            (tmp_path / "config.yaml").write_text(text)
            gateway.process.send_signal(signal.SIGHUP)
            gateway.log.wait_for(f"reloaded generation={generation}")
        assert greeting(passed) == "hello"


#: Root without the right to listen below 1024.
UNPRIVILEGED = ("setpriv", "--bounding-set=-net_bind_service", "--")


def low_port() -> int:
    """A free one that only root may listen on."""
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)):
                return port
    raise AssertionError("every port below 1024 is in use")


def test_a_passed_port_below_1024_needs_no_rights(
    systemd: None, root: None, tmp_path: Path
) -> None:
    port = low_port()
    text = config(port, Route("/", [MOCK]))
    (tmp_path / "alone.yaml").write_text(text)
    alone = subprocess.run(
        [*UNPRIVILEGED, *EASEWS, "run", tmp_path / "alone.yaml"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "ports below 1024 need root" in alone.stderr
    with activated(tmp_path, text, "-l", f"{LOOPBACK}:{port}", between=UNPRIVILEGED):
        assert greeting(port) == "hello"
