"""The units in deploy/systemd: systemd takes them, and their numbers fit those of easews."""

from __future__ import annotations

import configparser
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.e2e.gateway import EASEWS, PATIENCE, Gateway, Route, config, free_port
from tests.e2e.notified import notify_socket

from easews.testing import load_config

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
MOCK = {"kind": "Mock", "name": "mock", "rules": [{"code": 200, "body": "hello"}]}
INSTALLED, CONFIG = "/opt/easews/bin/easews", "/etc/easews"
#: What systemd rates a service at that takes care, from 0 to 100 (the most exposed).
MOST_EXPOSED = 20
#: Seconds that easews may take to end after the drain: filters, threads, twice a grace of 2.
TO_END = 10


class Unit(configparser.RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture
def service() -> Mapping[str, str]:
    unit = Unit(strict=False)
    unit.read(UNITS / "easews.service")
    return unit["Service"]


@pytest.fixture
def units(systemd: None, tmp_path: Path) -> Path:
    """The units, with a program that is there."""
    program = tmp_path / "easews"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in ("easews.service", "easews.socket"):
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace(INSTALLED, str(program)))
    return tmp_path


def analyze(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def test_systemd_finds_no_fault_in_them(units: Path) -> None:
    done = analyze("verify", "--man=no", units / "easews.service", units / "easews.socket")
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_a_fault_that_is_there(units: Path) -> None:
    unit = units / "easews.service"
    unit.write_text(unit.read_text().replace("LimitNOFILE", "LimitNoFile"))
    assert "LimitNoFile" in analyze("verify", "--man=no", unit).stderr


def test_the_service_gives_away_little(units: Path) -> None:
    limit = f"--threshold={MOST_EXPOSED}"
    done = analyze("security", "--offline=yes", limit, units / "easews.service")
    assert done.returncode == 0, done.stdout[-500:]


def test_a_drain_has_ended_before_systemd_kills_the_service(service: Mapping[str, str]) -> None:
    text = "{kind: HTTPServer, name: s, port: 80}\n---\n{kind: Gateway, name: g}"
    drain = load_config(text).gateway.drain
    assert int(service["TimeoutStopSec"]) >= drain_seconds(drain) + TO_END


def drain_seconds(drain: Any) -> float:
    seconds: float = drain.delay + drain.window + drain.deadline
    return seconds


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_the_service_starts_reloads_and_stops_by_its_commands(
    service: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf.d").mkdir()
    file = tmp_path / "conf.d" / "config.yaml"
    file.write_text(config(free_port(), Route("/", [MOCK])))
    name, value = service["Environment"].split("=")
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(service["WatchdogSec"]) * 1_000_000))
    program, run, *options, folder = shlex.split(service["ExecStart"])
    assert (program, run, folder) == (INSTALLED, "run", CONFIG)
    with TemporaryDirectory() as runtime, notify_socket(f"{runtime}/notify") as reports:
        monkeypatch.setenv("NOTIFY_SOCKET", reports.address)
        gateway = Gateway(file.parent, *options, easews=EASEWS)
        try:
            reports.wait_for("READY")
            reports.wait_for("WATCHDOG")
            reload = service["ExecReload"].replace("$MAINPID", str(gateway.process.pid))
            subprocess.run(shlex.split(reload), check=True)
            reports.wait_for("RELOADING")
            reports.wait_for("READY")
            gateway.process.send_signal(signal.SIGTERM)
            reports.wait_for("STOPPING")
            assert gateway.wait() == 0
        finally:
            gateway.close()
