"""Load generators and backends, which are C so that they are not what is measured: how they are
built and started. What else a run needs: a port, a certificate.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from .loads import Ability

SOURCES = Path(__file__).parent / "c"
BUILT = Path(__file__).parent.parent / ".cache" / "bench"
#: The load generator and the backend for what a load needs.
PROGRAMS: Mapping[Ability, tuple[str, str]] = {
    "ws": ("load", "echo"),
    "tls": ("load-tls", "echo"),
    "messages": ("load", "echo"),
    "http": ("load-http", "origin"),
    "answer": ("load-http", "origin"),
    "workers": ("load", "echo"),
}
#: Their sources with the compiler's arguments, where they are not what the name says.
SOURCE: Mapping[str, tuple[str, ...]] = {
    "load-tls": ("load.c", "-DWITH_TLS", "-lssl", "-lcrypto"),
}
#: One key for all: P-256, as most sites have it.
CERTIFICATE = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
    *("-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
    *("-keyout", "key.pem", "-out", "certificate.pem"),
)


class BenchError(Exception):
    """Why the benchmark, or one measurement, cannot go on. The text is for the user."""


def build_tools(needs: Iterable[Ability] = ("ws",)) -> None:
    """Compile what is older than its sources, as far as loads need it. BenchError without a
    compiler, or without OpenSSL for those over TLS.
    """
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError(
            "no C compiler found, and the load generator is C; "
            "on Debian and Ubuntu: apt-get install gcc libc6-dev"
        )
    BUILT.mkdir(parents=True, exist_ok=True)
    newest = max(source.stat().st_mtime for source in SOURCES.iterdir())
    for name in sorted({name for need in needs for name in PROGRAMS[need]}):
        program = BUILT / name
        if not program.exists() or program.stat().st_mtime <= newest:
            _compile(compiler, name, program)


def _compile(compiler: str, name: str, program: Path) -> None:
    source, *arguments = SOURCE.get(name, (f"{name}.c",))
    command = [compiler, "-O2", "-Wall", "-o", str(program), str(SOURCES / source), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if "openssl/" in done.stderr or "-lssl" in done.stderr:
        raise BenchError(
            "the loads over TLS need OpenSSL's headers; "
            "on Debian and Ubuntu: apt-get install libssl-dev openssl"
        )
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stderr}")


def make_certificate() -> None:
    """A certificate for localhost with its key, in `BUILT`: `certificate.pem`, `key.pem`, and both
    in one file. BenchError without openssl.
    """
    if shutil.which("openssl") is None:
        raise BenchError(
            "the loads over TLS need the openssl program, to make a certificate; "
            "on Debian and Ubuntu: apt-get install openssl"
        )
    done = subprocess.run(CERTIFICATE, cwd=BUILT, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"openssl could not make a certificate: {done.stderr}")
    both = (BUILT / "certificate.pem").read_bytes() + (BUILT / "key.pem").read_bytes()
    (BUILT / "certificate-and-key.pem").write_bytes(both)


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
    core: int | None,
    *,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that may run on one core only, or on any, in a process group of its own."""
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
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
