"""The first command of the README, as far as it runs without installing all of easews."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tests.e2e.demo import PAGE, SCRIPTS, Demo, install_page, running_demo
from tests.e2e.gateway import LOOPBACK, PATIENCE, free_port
from tests.e2e.library import connect
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

CHAT = Subprotocol("easews.demo")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    install_page(folder)
    return folder


@pytest.fixture(scope="module")
def demo(plugins: Path) -> Iterator[Demo]:
    with running_demo(plugins) as demo:
        yield demo


def run_script(name: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **environ},
    )


def news(ws: ClientConnection, kind: str) -> dict[str, Any]:
    """The next thing of that kind that the chat tells."""
    while True:
        told: dict[str, Any] = json.loads(ws.recv(PATIENCE))
        if told["kind"] == kind:
            return told


def test_the_demo_names_its_page_once_it_listens(demo: Demo) -> None:
    assert demo.out.wait_for("Open").startswith(f"Open {demo.page} in a browser")


def test_the_page_comes_from_the_port_of_the_websocket(demo: Demo) -> None:
    with urlopen(demo.page, timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.read() == (PAGE / "easews_page" / "page.html").read_bytes()


def test_the_demo_echoes(demo: Demo) -> None:
    done = run_script("ws.py", demo.ws, "hello", "there")
    assert (done.stdout, done.stderr) == ("hello\nthere\n", "")
    with connect(demo.ws) as ws:
        for message in ("hello from a library", b"\x00" * 70000, ""):
            ws.send(message)
            assert ws.recv(PATIENCE) == message


def test_the_chat_tells_what_the_backend_got(demo: Demo) -> None:
    with connect(demo.ws, subprotocols=[CHAT]) as ws:
        head = news(ws, "hello")["head"]
    assert head[0] == "GET /ws HTTP/1.1"
    assert f"X-Forwarded-Host: {LOOPBACK}:{demo.port}" in head


def test_everybody_hears_what_anybody_says(demo: Demo) -> None:
    with connect(demo.ws, subprotocols=[CHAT]) as one, connect(demo.ws, subprotocols=[CHAT]) as two:
        by = news(one, "hello")["you"]
        one.send("grüße")
        for listener in (one, two):
            assert news(listener, "said") == {"kind": "said", "by": by, "text": "grüße"}
        assert run_script("ws.py", demo.ws, "from a terminal").stdout == "from a terminal\n"
        assert news(two, "said")["text"] == "from a terminal"


def test_who_leaves_is_no_longer_here(demo: Demo) -> None:
    with connect(demo.ws, subprotocols=[CHAT]) as stays:
        me = news(stays, "people")["here"]
        with connect(demo.ws, subprotocols=[CHAT]):
            assert len(news(stays, "people")["here"]) == 2
        assert news(stays, "people")["here"] == me


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_ctrl_c_ends_the_demo_and_tells_the_page(plugins: Path, loop: str) -> None:
    with running_demo(plugins, "--backend", loop) as demo:
        with connect(demo.ws, subprotocols=[CHAT]) as ws:
            assert demo.interrupt() == 0
            with pytest.raises(Exception, match="1001"):
                news(ws, "said")
        assert "Traceback" not in demo.log.all()


def test_a_demo_that_cannot_start_says_nothing_but_why() -> None:
    ports = {"PORT": str(free_port()), "BACKEND_PORT": str(free_port())}
    done = run_script("demo.py", "--backend", "curio", **ports)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'curio' is none of its values" in done.stderr


@pytest.mark.parametrize("variable", ["PORT", "BACKEND_PORT"])
def test_a_taken_port_is_told_with_the_way_round(variable: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        done = run_script("demo.py", **{variable: str(taken.getsockname()[1])})
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert f"use another: {variable}=" in done.stderr
    assert len(done.stderr.splitlines()) == 1
