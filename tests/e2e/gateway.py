"""easews as its users run it: a process of its own, a config file, ports from the kernel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Thread
from typing import IO, Any

import yaml

LOOPBACK = "127.0.0.1"
#: Seconds after which a test gives up: far more than anything here takes, on a busy machine, too.
PATIENCE = 60.0

# Warnings of forgotten sockets are shown, so that the log can be searched for them.
EASEWS = (sys.executable, "-W", "always::ResourceWarning", "-m", "easews")

FilterEntry = Mapping[str, Any]


def free_port() -> int:
    """A port that nobody listens on and that, on Linux, the kernel gives to nobody else.

    There a socket keeps it until this process ends: it is bound and does not listen, so that
    connections are refused, and whoever sets SO_REUSEADDR, as servers do, may listen all the same.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        if sys.platform == "linux":
            probe.detach()
        return port


@dataclass(frozen=True, slots=True)
class Route:
    """A path prefix of the config, the filters behind it, and their flow."""

    prefix: str
    filters: Sequence[FilterEntry]
    flow: Sequence[Mapping[str, Any]] = ()
    path_fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pipeline(self) -> str:
        return self.prefix.strip("/") or "root"

    def path_entry(self) -> dict[str, Any]:
        return {"pathPrefix": self.prefix, "backend": self.pipeline, **self.path_fields}

    def pipeline_object(self) -> dict[str, Any]:
        pipeline = {"kind": "Pipeline", "name": self.pipeline, "filters": list(self.filters)}
        return {**pipeline, "flow": list(self.flow)} if self.flow else pipeline


def proxied(prefix: str, *urls: str, flow: Sequence[Mapping[str, Any]] = (), **pool: Any) -> Route:
    """A path prefix with a WebSocketProxy behind it; `pool` has further fields of its pool."""
    servers = [{"url": url} for url in urls]
    entry = {"kind": "WebSocketProxy", "name": "proxy", "pools": [{"servers": servers, **pool}]}
    return Route(prefix, [entry], flow, {"clientMaxBodySize": -1})


def config(port: int, *routes: Route, **server: Any) -> str:
    """The text of a config file: one HTTPServer on `port`, a pipeline for each route."""
    paths = [route.path_entry() for route in routes]
    listener = {"address": LOOPBACK, "port": port, "rules": [{"paths": paths}], **server}
    return yaml.safe_dump_all(
        [
            {"kind": "HTTPServer", "name": "test-server", **listener},
            *(route.pipeline_object() for route in routes),
        ],
        sort_keys=False,
    )


class Lines:
    """The lines of a stream as they come, and a way to wait for one."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._ended = False
        self._changed = Condition()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, *texts: str) -> str:
        """The first line that has all these texts in it; AssertionError when none comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self.having(*texts), PATIENCE)
            assert self.having(*texts), f"no line with {texts} in:\n" + "\n".join(self._lines)
            return self.having(*texts)[0]

    def wait_for_count(self, text: str, count: int) -> None:
        """Return when there are so many lines with `text`; AssertionError when none comes."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self.having(text)) >= count, PATIENCE)
            assert len(self.having(text)) >= count, "\n".join(self._lines)

    def wait_for_more(self) -> None:
        """Wait for another line, or for a moment; AssertionError when no more can come."""
        with self._changed:
            assert not self._ended, "\n".join(self._lines)
            self._changed.wait(1)

    def having(self, *texts: str) -> list[str]:
        """The lines so far that have all these texts in them."""
        return [line for line in self._lines if all(text in line for text in texts)]

    def all(self) -> str:
        """Everything, once the stream has ended; AssertionError when some process keeps it open."""
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), "it goes on:\n" + "\n".join(self._lines)
        return "\n".join(self._lines)


class Gateway:
    """A process `python -m easews run FILE`. `out` and `log` are its stdout and stderr."""

    def __init__(self, file: Path, *options: str, easews: Sequence[str] = EASEWS) -> None:
        self.process = subprocess.Popen(
            [*easews, "run", str(file), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = Lines(self.process.stdout)
        self.log = Lines(self.process.stderr)
        self.port = 0

    def wait_until_it_listens(self) -> None:
        line = self.out.wait_for(" listens on ")
        if " listens on unix:" not in line:
            self.port = int(line.rpartition(":")[2])

    def ws(self, path: str) -> str:
        return f"ws://{LOOPBACK}:{self.port}{path}"

    def http(self, path: str) -> str:
        return f"http://{LOOPBACK}:{self.port}{path}"

    def wss(self, path: str) -> str:
        return f"wss://localhost:{self.port}{path}"

    def https(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"

    def admin_url(self) -> str:
        """The URL of its admin interface, once it listens."""
        return self.out.wait_for("admin listens on ").rpartition(" ")[2]

    def peak_kib(self) -> int:
        """The most memory that the process has had at any time."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1])

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The exit status."""
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """End the process, whatever it is doing, and let go of its streams."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        for lines, stream in ((self.out, self.process.stdout), (self.log, self.process.stderr)):
            lines.all()
            if stream is not None:
                stream.close()


def add_package(folder: Path, name: str, code: str) -> None:
    """Put a package with a module of filters into `folder`, as if it were installed there."""
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[easews]\n{name} = {name}\n")


#: A module whose filter does not start.
FRAGILE = """
from easews import Filter, hookimpl

class Fragile(Filter):
    kind = "Fragile"

    async def __aenter__(self):
        raise OSError("no such database")

    async def handle(self, ctx):
        return ""

@hookimpl
def easews_filters():
    return [Fragile]
"""


def while_it_starts(file: Path, text: str, act: Callable[[], object]) -> None:
    """Call `act` while a process waits for its config `file`, a FIFO; then that is a file with
    `text`.
    """
    with file.open("w") as reader:  # once the process has opened it, too
        act()
        later = file.with_suffix(".later")
        later.write_text(text)
        later.replace(file)
        reader.write(text)


@contextmanager
def running(
    text: str, folder: Path, *options: str, easews: Sequence[str] = EASEWS, ends: int = 0
) -> Iterator[Gateway]:
    """A gateway that serves the config `text`. At the end it must stop cleanly on SIGTERM, with
    the status `ends`.
    """
    file = folder / "config.yaml"
    file.write_text(text)
    gateway = Gateway(file, *options, easews=easews)
    try:
        gateway.wait_until_it_listens()
        yield gateway
        if gateway.process.poll() is None:
            gateway.terminate()
        status = gateway.wait()
        log = gateway.log.all()
        assert status == ends, f"exit status {status}, and this log:\n{log}"
        assert "Traceback" not in log, log
        assert "ResourceWarning" not in log, log
    finally:
        gateway.close()
