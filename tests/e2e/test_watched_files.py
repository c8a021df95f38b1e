"""`easews run --watch-plugins`: a filter in a single file, changed while a process serves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, Route, config, free_port, running
from tests.e2e.library import connect
from websockets.sync.server import ServerConnection, serve

GREET = """
from easews import Context, Filter, Response

class Greet(Filter):
    kind = "Greet"

    async def handle(self, ctx: Context) -> None:
        if not ctx.request.wants_upgrade:
            ctx.response = Response(200, content="hello")
"""
OTHER = GREET.replace("Greet", "Other").replace('"hello"', '"other"')


def echo(ws: ServerConnection) -> None:
    for message in ws:
        ws.send(message)


@pytest.fixture
def backend() -> Iterator[str]:
    with serve(echo, LOOPBACK, 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://{LOOPBACK}:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join(PATIENCE)


@contextmanager
def watching(loop: str, backend: str, folder: Path) -> Iterator[Gateway]:
    """A gateway with the filters Greet and Other of two files, in front of the backend."""
    files = {"greet.py": GREET, "other.py": OTHER}
    options = ["--backend", loop]
    for name, code in files.items():
        (folder / name).write_text(code)
        options += ["--watch-plugins", str(folder / name)]
    proxy = {"kind": "WebSocketProxy", "name": "proxy", "pools": [{"servers": [{"url": backend}]}]}
    greet = Route("/", [{"kind": "Greet", "name": "greet"}, proxy], (), {"clientMaxBodySize": -1})
    other = Route("/other", [{"kind": "Other", "name": "other"}])
    with running(config(free_port(), other, greet), folder, *options) as gateway:
        yield gateway


def get(gateway: Gateway, path: str = "/") -> str:
    with urlopen(gateway.http(path), timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def test_a_saved_filter_serves_the_next_request_and_sessions_stay(
    loop: str, backend: str, tmp_path: Path
) -> None:
    with watching(loop, backend, tmp_path) as gateway, connect(gateway.ws("/")) as ws:
        gateway.log.wait_for("for development only", "greet.py, other.py")
        assert (get(gateway), get(gateway, "/other")) == ("hello", "other")

        (tmp_path / "greet.py").write_text(GREET.replace("hello", "good morning"))
        gateway.log.wait_for("greet.py: loaded again; open sessions keep what they have (1)")
        assert (get(gateway), get(gateway, "/other")) == ("good morning", "other")

        (tmp_path / "greet.py").write_text(GREET + "x = = 1\n")
        line = f"({tmp_path / 'greet.py'}:{GREET.count(chr(10)) + 1})"
        gateway.log.wait_for("greet.py: not loaded", "SyntaxError", line)
        assert get(gateway) == "good morning"

        ws.send("still here")
        assert ws.recv(PATIENCE) == "still here"


def test_a_file_with_an_error_is_told_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "greet.py").write_text("x = = 1\n")
    (tmp_path / "config.yaml").write_text(config(free_port(), Route("/", [])))
    gateway = Gateway(tmp_path / "config.yaml", "--watch-plugins", str(tmp_path / "greet.py"))
    try:
        assert gateway.wait() == 1
        assert gateway.log.all() == (
            f"easews: greet.py: SyntaxError: invalid syntax ({tmp_path / 'greet.py'}:1); "
            "correct it, and save it"
        )
    finally:
        gateway.close()
