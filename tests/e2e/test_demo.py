"""The first command of the README, as far as it runs without installing anything."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Lines
from tests.e2e.library import connect

SCRIPTS = Path(__file__).parents[2] / "scripts"
#: The design note's, and so the demo's.
GATEWAY, BACKEND = 8080, 12345


def refuse_to_guess(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            pytest.fail(f"port {port} is taken, and the demo needs it: stop who listens there")


def test_the_demo_echoes_and_stops_on_ctrl_c() -> None:
    refuse_to_guess(GATEWAY)
    refuse_to_guess(BACKEND)
    demo = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "demo.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    assert demo.stderr is not None
    with demo, demo.stdout, demo.stderr:
        out, log = Lines(demo.stdout), Lines(demo.stderr)
        try:
            out.wait_for("listens on")
            assert say_hello_with_the_script() == "hello\n"
            with connect(f"ws://{LOOPBACK}:{GATEWAY}/ws") as ws:
                ws.send("hello from a library")
                assert ws.recv(PATIENCE) == "hello from a library"
            demo.send_signal(signal.SIGINT)
            assert demo.wait(PATIENCE) == 0
            assert "Traceback" not in log.all()
        finally:
            demo.kill()
            log.all()
            out.all()


def say_hello_with_the_script() -> str:
    url = f"ws://{LOOPBACK}:{GATEWAY}/ws"
    command = [sys.executable, str(SCRIPTS / "ws.py"), url, "hello"]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE).stdout
