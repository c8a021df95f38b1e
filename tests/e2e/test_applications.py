"""Applications behind easews on one origin, over TLS, with the clients that their users have.

Each speaks plain HTTP and WebSocket on the same path. The browser trusts the tests' own authority
as it would any other, so that it refuses a certificate of another name.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority
from tests.e2e.fronts import APPS, NODE, READERS, Front, in_front, run
from tests.e2e.gateway import LOOPBACK, PATIENCE, free_port
from tests.e2e.library import connect
from tests.e2e.peers import serving
from websockets.typing import Subprotocol

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def put_in_front(
    loop: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int], Front]]:
    """Starts an easews in front of a port."""
    with ExitStack() as stack:

        def put_in_front(backend: int) -> Front:
            folder = tmp_path_factory.mktemp("front")
            return stack.enter_context(in_front(backend, authority, folder, loop))

        yield put_in_front


@pytest.fixture(scope="module", params=READERS)
def messages(request: pytest.FixtureRequest) -> str:
    """What becomes of the messages on their way."""
    name: str = request.param
    return name


@contextmanager
def served(applications: Path, app: str) -> Iterator[int]:
    """The port of an ASGI app of the folder `apps`."""
    port = free_port()
    options: list[str | Path] = ["--app-dir", APPS, "--port", str(port), "--log-level", "warning"]
    with serving([applications / "uvicorn", *options, f"{app}:app"], port):
        yield port


Visit = Callable[..., Mapping[str, Any]]


@pytest.fixture(scope="module")
def visit(
    browser: tuple[str, str],
    certutil: str,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Visit:
    """Runs a program of the folder `node` that visits a page in Chromium; what it has seen."""
    node, chromium = browser
    home = tmp_path_factory.mktemp("home")
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    store = [certutil, "-d", f"sql:{database}"]
    subprocess.run([*store, "-N", "--empty-password"], check=True)
    trusted = ["-A", "-n", "the tests' own", "-t", "C,,", "-i", str(authority.file)]
    subprocess.run([*store, *trusted], check=True)

    def visit(program: str, url: str) -> Mapping[str, Any]:
        wish = json.dumps({"url": url, "chromium": chromium})
        return run(node, NODE / program, wish, HOME=str(home))

    return visit


# Jupyter


@pytest.fixture(scope="module")
def jupyter(applications: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a JupyterLab with a notebook."""
    port, folder = free_port(), tmp_path_factory.mktemp("jupyter")
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "source": "print(6 * 7)"}
    notebook = {
        "cells": [{**cell, "execution_count": None}],
        "metadata": {"kernelspec": KERNEL},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "answer.ipynb").write_text(json.dumps(notebook))
    (folder / "labconfig").mkdir()
    # It would ask the visitor whether it may fetch news.
    disabled = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (folder / "labconfig" / "page_config.json").write_text(json.dumps(disabled))
    options = {
        "ip": LOOPBACK,
        "port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": "secret",
    }
    folders = ["HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"]
    command: list[str | Path] = [applications / "jupyter", "lab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    env = dict.fromkeys(folders, str(folder))
    with serving(command, port, env=env, stop=signal.SIGTERM):  # it stops its kernels
        yield port


def test_jupyter_runs_a_cell(
    put_in_front: Callable[[int], Front], visit: Visit, jupyter: int
) -> None:
    front = put_in_front(jupyter)
    seen = visit("jupyter.js", f"{front.url}/lab/tree/answer.ipynb?token=secret")
    assert seen["output"] == "42\n"
    kernels = f"wss://{LOOPBACK}:{front.port}/api/kernels/"
    assert any(url.startswith(kernels) for url in seen["sockets"])
    # JupyterLab tells there what it does.
    assert [line for line in seen["console"] if not line.startswith("debug: ")] == []


# socket.io


@pytest.fixture(scope="module")
def chat(
    applications: Path,
    loop: str,
    messages: str,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("chat")
    with (
        served(applications, "chat") as port,
        in_front(port, authority, folder, loop, messages) as front,
    ):
        yield front


def test_socket_io_in_node_begins_with_polling_and_goes_over_to_a_socket(
    node: str, chat: Front
) -> None:
    words = ["hello", "grüße", "x" * 100_000]
    seen = chat.run_node("chat.js", {"messages": words}, node)
    assert seen["transports"] == ["polling", "websocket"]
    assert seen["answers"] == [len(text) for text in words]
    assert seen["heard"] == words


def test_socket_io_in_python_does_so_too(applications: Path, chat: Front) -> None:
    ca = chat.authority.file
    seen = run(applications / "python", APPS / "chat_client.py", chat.url, ca)
    assert seen == {"transport": "websocket", "answer": 5, "heard": ["said", "grüße"]}


# Server-sent events


@pytest.fixture(scope="module")
def origin_port(applications: Path) -> Iterator[int]:
    with served(applications, "origin") as port:
        yield port


@pytest.fixture(scope="module")
def origin(origin_port: int, put_in_front: Callable[[int], Front]) -> Front:
    return put_in_front(origin_port)


def say(origin: Front, words: str) -> None:
    client = origin.connection()
    client.request("POST", "/say", words)
    assert client.getresponse().read() == b"said"
    client.close()


def next_event(stream: HTTPResponse) -> str:
    event, end = stream.readline(), stream.readline()
    assert end == b"\n"
    return event.decode().removeprefix("data: ").rstrip()


def test_events_come_one_by_one(origin: Front) -> None:
    first, second = origin.connection(), origin.connection()
    for client in (first, second):
        client.request("GET", "/events", headers={"Accept": "text/event-stream"})
    streams = [client.getresponse() for client in (first, second)]
    assert [stream.headers["Content-Type"] for stream in streams] == ["text/event-stream"] * 2
    for words in ("one", "two", "three"):
        say(origin, words)
        assert [next_event(stream) for stream in streams] == [words] * 2
    streams[0].close()
    first.close()
    assert next_event(streams[1]) == "somebody left"
    second.close()


def test_a_page_has_its_events_its_socket_and_its_uploads_on_one_origin(
    origin_port: int,
    authority: Authority,
    loop: str,
    messages: str,
    visit: Visit,
    tmp_path: Path,
) -> None:
    with in_front(origin_port, authority, tmp_path, loop, messages) as origin:
        seen = visit("origin.js", f"{origin.url}/")
    assert seen["console"] == []
    assert seen["sockets"] == [f"wss://{LOOPBACK}:{origin.port}/ws"]
    assert "permessage-deflate" in seen["extensions"]
    assert sorted(seen["log"][:2]) == ["events: open", "socket: open"]
    for one, two, words in ((2, 4, "one"), (4, 6, "two")):
        assert sorted(seen["log"][one:two]) == [f"event {words}", f"message {words}"]
    assert seen["uploaded"] == "3000000"


def test_the_browser_refuses_the_certificate_of_another_name(origin: Front, visit: Visit) -> None:
    with pytest.raises(AssertionError, match="ERR_CERT_COMMON_NAME_INVALID"):
        visit("origin.js", f"https://localhost:{origin.port}/")


# VNC


@pytest.fixture(scope="module")
def screen(
    applications: Path,
    put_in_front: Callable[[int], Front],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    """websockify with noVNC in front of a screen, and easews in front of it."""
    pages = tmp_path_factory.mktemp("pages")
    pages.joinpath("index.html").symlink_to(APPS / "screen.html")
    pages.joinpath("novnc").symlink_to(NODE / "node_modules" / "@novnc" / "novnc")
    vnc, web = free_port(), free_port()
    addresses = [f"{LOOPBACK}:{web}", f"{LOOPBACK}:{vnc}"]
    with (
        serving([applications / "python", APPS / "screen.py", str(vnc)], vnc),
        serving(
            [applications / "websockify", "--web", pages, *addresses], web, stop=signal.SIGTERM
        ),
    ):
        yield put_in_front(web)


def test_novnc_shows_a_screen_and_sends_it_keys(screen: Front, visit: Visit) -> None:
    seen = visit("screen.js", f"{screen.url}/")
    assert seen["name"] == "the screen of the tests"
    assert seen["sockets"] == [f"wss://{LOOPBACK}:{screen.port}/websockify"]
    assert seen["console"] == []


def test_websockify_agrees_on_its_subprotocol(screen: Front) -> None:
    url = f"wss://{LOOPBACK}:{screen.port}/websockify"
    binary = Subprotocol("binary")
    with connect(url, subprotocols=[binary], ssl=screen.authority.client()) as ws:
        assert ws.subprotocol == "binary"
        assert ws.recv(PATIENCE) == b"RFB 003.008\n"
