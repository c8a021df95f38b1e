"""easews, nginx and HAProxy, alone and in chains, in front of HTTP and WebSocket backends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.e2e.gateway import LOOPBACK, PATIENCE, FilterEntry, Route, config, free_port, running

# Connections to the backend are reused, without which nothing could be smuggled.
NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream behind {{ server {host}:{backend}; keepalive 4; }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_request_buffering off;
            proxy_ignore_client_abort on;
        }}
    }}
}}
"""

HAPROXY = """
global
    maxconn 256
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
    http-reuse always
frontend clients
    bind {host}:{port}
    default_backend behind
backend behind
    server behind {host}:{backend}
"""


def _nginx(port: int, backend: int, folder: Path) -> list[str]:
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(host=LOOPBACK, port=port, backend=backend))
    return [find_program("nginx") or "", "-e", "stderr", "-p", str(folder), "-c", str(file)]


def _haproxy(port: int, backend: int, folder: Path) -> list[str]:
    file = folder / "haproxy.cfg"
    file.write_text(HAPROXY.format(host=LOOPBACK, port=port, backend=backend))
    return [find_program("haproxy") or "", "-db", "-q", "-f", str(file)]


COMMANDS = {"nginx": _nginx, "haproxy": _haproxy}


def find_program(name: str) -> str | None:
    """The path of a program that may be among those of root."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


def easews_config(backend: int, *before: FilterEntry, **server: Any) -> str:
    """Sends all it gets to one port: WebSockets and plain HTTP on one path.

    `before` are filters in front of the proxies, `server` has further fields of its HTTPServer.
    """
    servers = [{"url": f"http://{LOOPBACK}:{backend}", "keepHost": True}]
    kinds = {"sockets": "WebSocketProxy", "pages": "Proxy"}
    filters: list[FilterEntry] = [
        *before,
        *(
            {"kind": kind, "name": name, "pools": [{"servers": servers}]}
            for name, kind in kinds.items()
        ),
    ]
    flow: list[FilterEntry] = [
        *({"filter": entry["name"]} for entry in before),
        {"filter": "sockets", "jumpIf": {"notWebSocket": "pages"}},
        {"filter": "pages"},
    ]
    return config(free_port(), Route("/", filters, flow, {"clientMaxBodySize": -1}), **server)


class Chains:
    """Servers one behind the other, with one backend behind them all."""

    def __init__(self, backend: int, loop: str, make_folder: Callable[[str], Path]) -> None:
        self._backend = backend
        self._loop = loop
        self._make_folder = make_folder
        self._ports: dict[tuple[str, ...], int] = {}
        self._running = ExitStack()

    def port(self, *names: str) -> int:
        """Where a client finds this chain. Its servers are named from the client on."""
        if not names:
            return self._backend
        if names not in self._ports:
            started = self._start(names[0], self.port(*names[1:]))
            self._ports[names] = self._running.enter_context(started)
        return self._ports[names]

    @contextmanager
    def _start(self, name: str, backend: int) -> Iterator[int]:
        folder = self._make_folder(name)
        if name == "easews":
            with running(easews_config(backend), folder, "--backend", self._loop) as gateway:
                yield gateway.port
        else:
            port = free_port()
            with serving(COMMANDS[name](port, backend, folder), port):
                yield port

    def close(self) -> None:
        self._running.close()


@contextmanager
def serving(
    command: Sequence[str | Path],
    port: int,
    *,
    env: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGKILL,
) -> Iterator[None]:
    """A process that listens on that port by now, and gets the signal `stop` at the end.

    AssertionError with what it said when it ends by itself.
    """
    with (
        TemporaryFile() as said,
        subprocess.Popen(
            command,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            if not _comes_to_listen(process, port):
                said.seek(0)
                raise AssertionError(f"{command} does not listen:\n{said.read().decode()}")
            yield
        finally:
            process.send_signal(stop)


def _comes_to_listen(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection((LOOPBACK, port)).close()
            return True
        time.sleep(0.02)
    return False
