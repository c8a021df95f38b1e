"""Backends in processes of their own, which can be killed and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.gateway import PATIENCE, Lines, free_port

SCRIPT = Path(__file__).with_name("backend_process.py")


class Backend:
    """A backend that can be killed and started again on its port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        Lines(self._process.stdout).wait_for("ready")

    def stop(self) -> None:
        """SIGSTOP: its kernel accepts connections, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()

    close = kill


@contextmanager
def three_backends() -> Iterator[list[Backend]]:
    with ExitStack() as stack:
        made = [Backend() for _ in range(3)]
        for backend in made:
            stack.callback(backend.close)
        yield made
