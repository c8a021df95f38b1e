"""Starting a subject: its config for a load, its process, and when it relays."""

from __future__ import annotations

import importlib.metadata
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .loads import Ability
from .subjects import HERE, Subject
from .tools import BUILT, BenchError, end, refuse_taken, start_pinned

CONFIGS = HERE / "configs"
START_SECONDS = 20.0
#: Lines of a failed subject's log that are shown.
LAST_WORDS = 5
#: A line of a config that ends so is there in this mode only.
MODE = re.compile(r"#(ws|messages|http|answer|tls|workers|plain)$")
MODES: Mapping[Ability, frozenset[str]] = {
    "ws": frozenset({"ws", "plain"}),
    "tls": frozenset({"ws", "tls"}),
    "messages": frozenset({"ws", "messages", "plain"}),
    "http": frozenset({"http", "plain"}),
    "answer": frozenset({"answer", "plain"}),
    "workers": frozenset({"ws", "workers", "plain"}),
}
HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GET = "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
#: What is asked until it comes through, and the status that is expected.
PROBES: Mapping[Ability, tuple[str, bytes]] = {
    "ws": (HANDSHAKE, b"101"),
    "tls": (HANDSHAKE, b"101"),
    "messages": (HANDSHAKE, b"101"),
    "http": (GET.replace("{path}", "/100"), b"200"),
    "answer": (GET.replace("{path}", "/answer"), b"200"),
    "workers": (HANDSHAKE, b"101"),
}


@contextmanager
def running(
    subject: Subject, needs: Ability, core: int | None, port: int, backend_port: int
) -> Iterator[int]:
    """The subject, relaying from `port` what a load needs; gives its process id. BenchError tells
    its last words when it does not start, and adds them to whatever goes wrong while it runs.
    """
    refuse_taken(port, subject.name)
    values = values_for(subject, port, backend_port, 2 if needs == "workers" else 1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, tempfile.TemporaryFile() as log:
        write_configs(subject, needs, values, Path(folder))
        process = start_pinned(
            [_fill(word, values) for word in subject.command],
            core,
            stdout=log,
            stderr=log,
            environment=subject.environment,
            folder=Path(folder),
        )
        try:
            _wait_until_it_relays(process, needs, port)
            yield process.pid
        except BenchError as error:
            log.seek(0)
            words = log.read().decode(errors="replace").splitlines()[-LAST_WORDS:]
            lines = [str(error), *(f"  | {line[:200]}" for line in words)]
            raise BenchError("\n".join(lines)) from error
        finally:
            end(process)


def values_for(subject: Subject, port: int, backend_port: int, workers: int = 1) -> dict[str, str]:
    """What the marks in the subject's command and configs stand for."""
    return {
        "@PYTHON@": sys.executable,
        "@PROGRAM@": str(_program(subject)) if subject.program else "",
        "@WORKERS@": str(workers),
        "@PORT@": str(port),
        "@BACKEND_PORT@": str(backend_port),
        "@CERTIFICATE@": str(BUILT / "certificate.pem"),
        "@KEY@": str(BUILT / "key.pem"),
        "@CERTIFICATE_AND_KEY@": str(BUILT / "certificate-and-key.pem"),
        "@ANSWER@": "x" * 100,
    }


def write_configs(
    subject: Subject, needs: Ability, values: Mapping[str, str], folder: Path
) -> None:
    """The subject's configs as a load needs them, with all marks filled in."""
    for name in subject.configs:
        text = in_modes((CONFIGS / name).read_text(encoding="utf-8"), MODES[needs])
        (folder / name).write_text(_fill(text, values), encoding="utf-8")


def in_modes(config: str, modes: frozenset[str]) -> str:
    """The config without the lines of other modes."""
    found = ((line, MODE.search(line)) for line in config.splitlines(keepends=True))
    return "".join(line for line, mode in found if mode is None or mode[1] in modes)


def _fill(text: str, values: Mapping[str, str]) -> str:
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def _program(subject: Subject) -> Path:
    files = importlib.metadata.files(subject.distributions[0]) or ()
    for file in files:
        if file.match(subject.program):
            path = Path(str(file.locate())).resolve()
            if path.read_bytes()[:2] != b"#!":
                path.chmod(path.stat().st_mode | 0o111)
                return path
    raise BenchError(f"{subject.distributions[0]} holds no {subject.program} for this machine")


def _wait_until_it_relays(process: subprocess.Popen[bytes], needs: Ability, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"ended with status {process.returncode} as it started")
        if _answers(needs, port):
            return
        time.sleep(0.05)
    raise BenchError(f"did not relay from port {port} within {START_SECONDS:.0f} seconds")


def _answers(needs: Ability, port: int) -> bool:
    """Whether a request comes through. Some proxies listen before they know their routes."""
    ask, answer = PROBES[needs]
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            connection = _over_tls(probe) if needs == "tls" else probe
            connection.sendall(ask.format(port=port).encode())
            return connection.recv(1024).startswith(b"HTTP/1.1 " + answer)
    except OSError:
        return False


def _over_tls(probe: socket.socket) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=BUILT / "certificate.pem")
    return context.wrap_socket(probe, server_hostname="localhost")
