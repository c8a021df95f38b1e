"""The load generator and the echo backend, which are C so that they are not what is measured."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Self

from .loads import EndingKind

SOURCES = Path(__file__).parent / "c"
BUILT = Path(__file__).parent.parent / ".cache" / "bench"
#: How long a proxy may take to end sessions at the backend that have no client any more.
ENDING_SECONDS = 20.0


class BenchError(Exception):
    """Why the benchmark, or one measurement, cannot go on. The text is for the user."""


def build_tools() -> None:
    """Compile what is older than its sources. BenchError without a compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError(
            "no C compiler found, and the load generator is C; "
            "on Debian and Ubuntu: apt-get install gcc libc6-dev"
        )
    BUILT.mkdir(parents=True, exist_ok=True)
    newest = max(source.stat().st_mtime for source in SOURCES.iterdir())
    for name in ("echo", "load"):
        program = BUILT / name
        if program.exists() and program.stat().st_mtime > newest:
            continue
        command = [compiler, "-O2", "-Wall", "-o", str(program), str(SOURCES / f"{name}.c")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{done.stderr}")


def refuse_taken(port: int, who: str) -> None:
    """BenchError when somebody listens there already: they would be measured instead."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BenchError(f"{who} cannot have port {port}: {error.strerror}") from error


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_pinned(
    command: Sequence[str],
    core: int,
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that may run on one core only, in a process group of its own."""
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that `start_pinned` has started, with its children."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
            process.wait(timeout=3)
        except ProcessLookupError:
            process.wait()
        except subprocess.TimeoutExpired:
            continue
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


class EchoBackend(AbstractContextManager["EchoBackend"]):
    """The echo backend, while the context lasts."""

    def __init__(self, core: int, port: int) -> None:
        refuse_taken(port, "the echo backend")
        self.port = port
        self._process = start_pinned([str(BUILT / "echo"), str(port)], core, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise BenchError("the echo backend did not start; its message is above")
        self._descriptors = len(os.listdir(f"/proc/{self.pid}/fd"))

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def wait_for_endings(self, left: int) -> None:
        """Return once at most `left` connections are open. BenchError when that takes too long."""
        deadline = time.monotonic() + ENDING_SECONDS
        while (open_ones := self._connections()) > left:
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{open_ones} sessions are open at the backend that their clients have ended"
                )
            time.sleep(0.001)

    def _connections(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd")) - self._descriptors


class LoadGenerator(AbstractContextManager["LoadGenerator"]):
    """The load generator; each command waits until it is done. Its sessions end with it."""

    def __init__(self, core: int, port: int) -> None:
        self._process = start_pinned(
            [str(BUILT / "load"), str(port)],
            core,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def open(self, sessions: int, parallel: int) -> Mapping[str, float]:
        """Open sessions and keep them."""
        return self._tell(f"open {sessions} {parallel}")

    def churn(self, sessions: int, parallel: int, ending: EndingKind) -> Mapping[str, float]:
        """Open and end sessions: `churned` of them in `seconds`."""
        return self._tell(f"churn {sessions} {parallel} {ending}")

    def crowd(self, sessions: int, parallel: int) -> Mapping[str, float]:
        """Open sessions that say nothing, and end all of them during the next `talk`."""
        return self._tell(f"crowd {sessions} {parallel}")

    def talk(self, size: int, every_ms: float, seconds: float) -> Mapping[str, float]:
        """Have every open session send a message each `every_ms`, whether or not the one before
        it has come back. Answers as `echo`, and `worst_us`; a message counts from when it was due.
        """
        return self._tell(f"talk {size} {every_ms} {seconds}")

    def echo(self, size: int, in_flight: int, seconds: float) -> Mapping[str, float]:
        """Have every open session echo: `echoes` in `seconds`, `p50_us` and `p99_us`; meanwhile
        `flooded` bytes of a flood are sent.
        """
        return self._tell(f"echo {size} {in_flight} {seconds}")

    def flood(self, first: str, frame: str) -> Mapping[str, float]:
        """From now on have one more session send `frame` without end, behind `first`."""
        return self._tell(f"flood {first} {frame}")

    def _tell(self, command: str) -> Mapping[str, float]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{command}\n".encode())
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise BenchError(process.stderr.read().decode(errors="replace").strip())
        result: Mapping[str, float] = json.loads(answer)
        return result
