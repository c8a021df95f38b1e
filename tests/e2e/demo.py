"""`scripts/demo` without its installing: a process, on ports from the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.gateway import LOOPBACK, PATIENCE, Lines, free_port

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
PAGE = ROOT / "examples" / "plugins" / "page"


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo at work. `out` and `log` are its stdout and stderr."""

    port: int
    process: subprocess.Popen[str]
    out: Lines
    log: Lines

    @property
    def page(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/"

    @property
    def ws(self) -> str:
        return f"ws://{LOOPBACK}:{self.port}/ws"

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


def install_page(folder: Path) -> None:
    """Install the demo's plugin there, so that this environment's own kinds stay what they are."""
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *quiet, "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder), str(PAGE)], check=True, timeout=300)


@contextmanager
def running_demo(plugins: Path, *options: str, port: int | None = None) -> Iterator[Demo]:
    """A demo with the plugins of that folder, on `port` or on one that the kernel has chosen."""
    port = port or free_port()
    ports = {"PORT": str(port), "BACKEND_PORT": str(free_port())}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPTS / "demo.py"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ports, "PYTHONPATH": str(plugins), "NO_COLOR": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process, process.stdout, process.stderr:
        out, log = Lines(process.stdout), Lines(process.stderr)
        try:
            out.wait_for("listens on")
            yield Demo(port, process, out, log)
        finally:
            process.kill()
            log.all()
            out.all()
