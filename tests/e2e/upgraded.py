"""A gateway that is upgraded again and again, and what its clients notice."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import yaml
from tests.certificates import Authority
from tests.e2e.gateway import EASEWS, LOOPBACK, PATIENCE, Gateway, Route, config
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import unix_connect


class Upgraded:
    """A gateway that is upgraded again and again: `pid` is that of the process in charge."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.pid = gateway.process.pid
        self.upgrades = 0

    def ask(self) -> None:
        os.kill(self.pid, signal.SIGUSR2)

    def upgrade(self) -> str:
        """Do it, and return what the log says of it."""
        self.ask()
        self.gateway.log.wait_for("SIGUSR2")
        line = self.wait_until_handed_over()
        self.pid = pid_in(line)
        return line

    def kill(self) -> None:
        """End all processes that there may be."""
        for pid in (*_children(self.pid), self.pid, *map(pid_in, self.gateway.log.having("pid="))):
            kill(pid)
        self.gateway.close()

    def wait_until_handed_over(self) -> str:
        self.upgrades += 1
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if len(lines := self.gateway.log.having("handed over")) == self.upgrades:
                return lines[-1]
            assert not self.gateway.log.having("not upgraded"), self.gateway.log.having("ERROR")
            time.sleep(0.01)
        raise AssertionError("it was not handed over")


@contextmanager
def upgradable(
    text: str, folder: Path, *options: str, easews: Sequence[str] = EASEWS
) -> Iterator[Upgraded]:
    """A gateway whose last process has to stop cleanly."""
    file = folder / "config.yaml"
    file.write_text(text)
    gateway = Gateway(file, *options, easews=easews)
    upgraded = Upgraded(gateway)
    try:
        gateway.wait_until_it_listens()
        yield upgraded
        os.kill(upgraded.pid, signal.SIGTERM)
        log = gateway.log.all()  # until the last process has closed it
        assert gateway.wait() == 0, log
        assert "Traceback" not in log, log
        assert "ResourceWarning" not in log, log
    finally:
        upgraded.kill()


def unix_config(path: Path, route: Route) -> str:
    """A config whose server listens on a unix socket at `path`."""
    rules = [{"paths": [route.path_entry()]}]
    server = {"kind": "HTTPServer", "name": "s", "address": f"unix:{path}", "rules": rules}
    return yaml.safe_dump_all([server, route.pipeline_object()])


def keeps_file_until_the_last_process_ends(
    path: Path, text: str, folder: Path, *options: str
) -> None:
    """Upgrade a gateway on a unix socket at `path`, at first to a config that cannot be served."""
    with (
        upgradable(text, folder, *options) as upgraded,
        unix_connect(str(path), "ws://localhost/") as moves,
        socket.create_server((LOOPBACK, 0)) as taken,
    ):
        other = {"kind": "HTTPServer", "name": "t", "port": taken.getsockname()[1]}
        (folder / "config.yaml").write_text(f"{text}---\n{yaml.safe_dump(other)}")
        upgraded.ask()
        upgraded.gateway.log.wait_for("ERROR not upgraded, this process goes on")
        with unix_connect(str(path), "ws://localhost/") as other_client:
            assert echoes(other_client)

        (folder / "config.yaml").write_text(text)
        upgraded.gateway.log._lines.clear()
        upgraded.upgrade()
        upgraded.gateway.wait()  # the old process has ended
        assert echoes(moves)
        with unix_connect(str(path), "ws://localhost/") as new:
            assert echoes(new)
    assert not path.exists()


def admin_at(port: int) -> str:
    """What to add to a config for an admin interface."""
    return f"---\n{{kind: Gateway, name: g, admin: {{address: '{LOOPBACK}:{port}'}}}}"


def ask_admin(port: int, path: str, body: object = None) -> Any:
    """What it answers."""
    data = None if body is None else json.dumps(body).encode()
    url = f"http://{LOOPBACK}:{port}/api/v1/{path}"
    asking = Request(url, data, {"Content-Type": "application/json"})
    with urlopen(asking, timeout=PATIENCE) as answer:
        return json.load(answer)


def secure_server(port: int, route: Route, authority: Authority) -> dict[str, Any]:
    """A server with TLS, in front of the pipeline of `route`."""
    (server,) = yaml.safe_load_all(config(port))
    server |= {"name": "secure", **authority.fields("localhost")}
    server["rules"] = [{"paths": [route.path_entry()]}]
    found: dict[str, Any] = server
    return found


def pid_in(line: str) -> int:
    return int(line.partition("pid=")[2].split()[0])


def _children(pid: int) -> list[int]:
    try:
        return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    except FileNotFoundError:
        return []


def kill(pid: int) -> None:
    if pid > 0:  # 0 would mean all processes of the group
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def echoes(ws: object, text: str = "hello") -> bool:
    try:
        ws.send(text)  # type: ignore[attr-defined]
        return bool(ws.recv(5) == text)  # type: ignore[attr-defined]
    except (ConnectionClosed, TimeoutError):
        return False
