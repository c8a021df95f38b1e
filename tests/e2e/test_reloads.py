"""A process that is given another config: by SIGHUP, and by `--watch`."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.certificates import Authority
from tests.e2e.gateway import (
    LOOPBACK,
    PATIENCE,
    Gateway,
    Route,
    config,
    free_port,
    running,
    while_it_starts,
)
from tests.e2e.library import LibraryBackend, connect
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as async_connect
from websockets.exceptions import ConnectionClosed

#: Sessions of each of the four sorts, reloads, and paths that no session uses. For a long soak:
#: EASEWS_SOAK=500,50,10000
EACH, RELOADS, PATHS = map(int, os.environ.get("EASEWS_SOAK", "40,10,20").split(","))
#: Seconds from a session's message to its next one: these clients have 1,000 a second at most, or
#: the figures would be those of the clients.
PAUSE = max(0.1, 4 * EACH / 1000)
#: Seconds after which an echo is late.
LATE = 1.0
#: KiB by which the gateway may grow from the middle of the reloads to their end.
GROWTH = 8192


@pytest.fixture
def many() -> Iterator[str]:
    """The URL of a backend for many sessions, and descriptors for as many clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4 * EACH + 200, hard)), hard))
    command = [sys.executable, str(Path(__file__).with_name("async_echo.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"ws://{LOOPBACK}:{process.stdout.readline().removeprefix('port ').strip()}"
        process.kill()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def texts(backend: LibraryBackend, *prefixes: str, filters: Mapping[str, Any] = {}) -> list[Route]:
    """A path for each prefix, in front of the backend. `filters` has filters by prefix."""
    return routes(backend.url, *prefixes, filters=filters)


def routes(url: str, *prefixes: str, filters: Mapping[str, Any] = {}) -> list[Route]:
    """The same in front of what listens at `url`."""
    pools = [{"servers": [{"url": url}]}]
    proxy = {"kind": "WebSocketProxy", "name": "proxy", "pools": pools}
    return [
        Route(prefix, [*filters.get(prefix, ()), proxy], (), {"clientMaxBodySize": -1})
        for prefix in prefixes
    ]


def save(folder: Path, text: str) -> None:
    """As editors do it."""
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / "config.yaml")


def reload(gateway: Gateway, *told: str) -> None:
    gateway.process.send_signal(signal.SIGHUP)
    gateway.log.wait_for(*told)


def test_sighup_reloads_and_a_faulty_config_changes_nothing(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    text = config(port, *texts(own_backend, "/a", "/b")) + (
        "---\n{kind: Gateway, name: g, drain: {window: 1s, code: 1012}}"
    )
    with (
        running(text, tmp_path, "--backend", loop) as gateway,
        connect(gateway.ws("/a")) as stays,
        connect(gateway.ws("/b")) as goes,
    ):
        reload(gateway, "nothing has changed: generation 1 goes on")

        save(tmp_path, text.replace("clientMaxBodySize", "clientMaxBodySise"))
        reload(gateway, "ERROR not reloaded, generation 1 goes on")
        gateway.log.wait_for("ERROR", "config.yaml:", "unknown key 'clientMaxBodySise'")

        only_a = (
            config(port, *texts(own_backend, "/a", "/c")) + text[text.index("---\n{kind: Gate") :]
        )
        save(tmp_path, only_a)
        reload(gateway, "reloaded generation=2", "pathPrefix /b removed", "draining=1", "older=")
        with pytest.raises(ConnectionClosed) as closed:
            goes.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "its path is gone")
        stays.send("still here")
        assert stays.recv(PATIENCE) == "still here"
        with connect(gateway.ws("/c")) as new:
            new.send("new")
            assert new.recv(PATIENCE) == "new"


def test_another_port_is_opened_and_the_old_one_closed(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    old, new = free_port(), free_port()
    with running(config(old, *texts(own_backend, "/a")), tmp_path, "--backend", loop) as gateway:
        save(tmp_path, config(new, *texts(own_backend, "/a")))
        reload(gateway, "reloaded generation=2", f"listens on {LOOPBACK}:{new}")
        with pytest.raises(ConnectionRefusedError):
            connect(f"ws://{LOOPBACK}:{old}/a")
        with connect(f"ws://{LOOPBACK}:{new}/a") as ws:
            ws.send("here")
            assert ws.recv(PATIENCE) == "here"


def test_watch_reloads_what_is_saved_and_files_that_filters_read(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    port = free_port()
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "string"}')
    validator = {"kind": "MessageValidator", "name": "valid", "schemaFile": "schema.json"}
    text = config(port, *texts(own_backend, "/a", filters={"/a": [validator]}))
    with running(text, tmp_path, "--backend", loop, "--watch") as gateway:
        save(tmp_path, config(port, *texts(own_backend, "/a", "/b", filters={"/a": [validator]})))
        gateway.log.wait_for("config.yaml: the config is read again")
        gateway.log.wait_for("reloaded generation=2", "pathPrefix /b added")
        schema.write_text('{"type": "number"}')
        gateway.log.wait_for("reloaded generation=3", "schema.json has changed")
        with connect(gateway.ws("/a")) as ws:
            ws.send("7")
            assert ws.recv(PATIENCE) == "7"
        (tmp_path / "config.yaml").write_text("kind: [")
        gateway.log.wait_for("ERROR not reloaded, generation 3 goes on")


# -- under load ----------------------------------------------------------------------------------


SHARES = {"median": 0.5, "p99": 0.99, "p99.9": 0.999}


@dataclass(slots=True)
class Load:
    """Sessions that send steadily, and what has become of their messages."""

    closed: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    def figures(self) -> str:
        """Its echoes, and how long they took."""
        took = sorted(self.took)
        at = {name: took[int(len(took) * share)] for name, share in SHARES.items()}
        told = ", ".join(f"{name} {1000 * each:.1f} ms" for name, each in at.items())
        return f"{len(took)} echoes: {told}, slowest {1000 * took[-1]:.1f} ms"

    async def talk(self, name: str, ws: ClientConnection) -> None:
        number = 0
        await asyncio.sleep(random.random() * PAUSE)  # or all would send in the same moment
        try:
            while True:
                number += 1
                began = time.monotonic()
                await ws.send(f'{{"n": {number}}}')
                assert await ws.recv() == f'{{"n": {number}}}'
                self.took.append(time.monotonic() - began)
                await asyncio.sleep(PAUSE)
        except ConnectionClosed as error:
            self.closed.append(f"{name} {error.rcvd.code if error.rcvd else None}")


@asynccontextmanager
async def sessions(urls: Mapping[str, str], trust: ssl.SSLContext) -> AsyncIterator[Load]:
    """EACH sessions of every name, each with its url, that send until the block is left."""
    load = Load()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        talks = []
        for name, url in urls.items():
            for _ in range(EACH):
                secure = trust if url.startswith("wss") else None
                ws = await stack.enter_async_context(async_connect(url, ssl=secure))
                talks.append(tasks.create_task(load.talk(name, ws)))
        yield load
        for talk in talks:
            talk.cancel()


def rss_kib(gateway: Gateway) -> int:
    """The memory that the process has at present."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1])


def test_reloads_close_no_session_but_those_whose_path_is_gone(
    loop: str, many: str, tmp_path: Path
) -> None:
    plain, secure = free_port(), free_port()
    authority = Authority(tmp_path)
    tls = authority.fields("localhost")
    valid = {"kind": "MessageValidator", "name": "valid", "schema": {"type": "object"}}
    stay = routes(many, "/messages", "/plain", filters={"/messages": [valid]})
    goes = routes(many, "/goes")

    def text(other: int, *routes: Route) -> str:
        """A config whose only difference is in a pipeline and in paths that no session uses."""
        unused = [{"kind": "Mock", "name": "mock", "rules": [{"code": 200 + other}]}]
        whole = config(plain, *routes, Route("/unused", unused))
        (server,) = yaml.safe_load_all(config(secure))
        server |= {"name": "secure", **tls}
        paths = [route.path_entry() for route in routes]
        paths += [
            {"path": f"/{other}/{number}", "backend": "unused", "methods": ["GET", "POST"]}
            for number in range(PATHS)
        ]
        server["rules"] = [{"paths": paths}]
        drain = {"kind": "Gateway", "name": "g", "drain": {"window": "2s", "deadline": "60s"}}
        return whole + "---\n" + yaml.safe_dump_all([server, drain])

    urls = {name: f"ws://{LOOPBACK}:{plain}/{name}" for name in ("plain", "messages", "goes")}
    urls["secure"] = f"wss://localhost:{secure}/plain"

    # Written beforehand: it takes these clients' time, too.
    later = [text(number // 2, *stay, *goes) for number in range(1, RELOADS + 1)]
    last = text(RELOADS, *stay)

    async def steadily(gateway: Gateway) -> Load:
        grown = []
        async with sessions(urls, authority.client()) as load:
            await asyncio.sleep(3 * PAUSE)
            quiet, load.took = load.figures(), []
            for number, changed in enumerate(later, 1):
                save(tmp_path, changed)  # every second one is equal
                if number % 2:
                    told = f"nothing has changed: generation {1 + number // 2} goes on"
                else:
                    told = f"reloaded generation={1 + number // 2}"
                await asyncio.to_thread(reload, gateway, told)
                grown.append(rss_kib(gateway))
            print(f"quiet: {quiet}\nreloads: {load.figures()}\nKiB after each: {grown}")
            assert load.closed == []
            assert max(load.took) < LATE
            assert grown[-1] - grown[RELOADS // 2] < GROWTH, grown
            save(tmp_path, last)
            await asyncio.to_thread(reload, gateway, "goes removed", f"draining={EACH}")
            async with asyncio.timeout(PATIENCE):
                while len(load.closed) < EACH:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            before = len(load.took)
            await asyncio.sleep(3 * PAUSE + LATE)
            assert len(load.took) - before >= 3 * EACH
            return load

    with running(text(0, *stay, *goes), tmp_path, "--backend", loop) as gateway:
        load = asyncio.run(steadily(gateway))
    assert load.closed == ["goes 1001"] * EACH


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sighup_that_comes_while_it_starts_reloads_once_it_serves(
    loop: str, own_backend: LibraryBackend, tmp_path: Path, workers: int
) -> None:
    file = tmp_path / "config.yaml"
    os.mkfifo(file)
    gateway = Gateway(file, "--backend", loop, "--workers", str(workers))
    try:
        text = config(free_port(), *texts(own_backend, "/a"))
        while_it_starts(file, text, lambda: gateway.process.send_signal(signal.SIGHUP))
        gateway.log.wait_for("INFO SIGHUP: the config is read again")
        gateway.log.wait_for("INFO nothing has changed: generation 1 goes on")
        gateway.terminate()
        assert gateway.wait() == 0
    finally:
        gateway.close()
