"""A package by somebody else: installed from wheels into a clean environment, and at work there.

One package is that of docs/how-to/write-a-filter.md, in the folder third_party. The others are as
`easews new` writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, free_port, running
from tests.e2e.library import connect
from tests.e2e.wheels import THIRD_PARTY as PACKAGE
from tests.e2e.wheels import pip, run
from websockets.sync.server import ServerConnection, serve

CONFIG = PACKAGE / "gateway.yaml"


@pytest.fixture(scope="module")
def serving(clean_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    text = CONFIG.read_text().replace("${PORT:-8080}", str(free_port()))
    folder = tmp_path_factory.mktemp("serving")
    with running(text, folder, easews=(str(clean_python), "-m", "easews")) as gateway:
        yield gateway


def status_for(host: str, gateway: Gateway) -> int:
    connection = HTTPConnection(LOOPBACK, gateway.port, timeout=PATIENCE)
    connection.request("GET", "/", headers={"Host": host})
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_engine_comes_from_its_wheel(clean_python: Path, tmp_path: Path) -> None:
    file = run(clean_python, "-c", "import easews; print(easews.__file__)", cwd=tmp_path)

    assert file.startswith(str(clean_python.parents[1]))


def test_its_kind_is_listed_with_package_and_version(clean_python: Path, tmp_path: Path) -> None:
    lines = run(clean_python, "-m", "easews", "kinds", cwd=tmp_path).splitlines()

    assert [line.split()[:4] for line in lines if line.startswith("Tenant ")] == [
        ["Tenant", "easews-tenant", "1.2.3", "unknownTenant,"]
    ]
    assert [line.split()[1] for line in lines if line.startswith("WebSocketProxy ")] == [
        "easews-wsproxy"
    ]


def test_a_config_with_it_is_valid(clean_python: Path, tmp_path: Path) -> None:
    run(clean_python, "-m", "easews", "validate", CONFIG, cwd=tmp_path)


def test_a_mistake_in_its_fields_is_found_by_its_schema(clean_python: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(CONFIG.read_text().replace("  hosts:", "  host:"))

    with pytest.raises(AssertionError, match="did you mean 'hosts'"):
        run(clean_python, "-m", "easews", "validate", wrong, cwd=tmp_path)


def test_it_answers_a_request(serving: Gateway) -> None:
    assert status_for("green.example.org", serving) == 404


def test_what_it_lets_pass_reaches_the_next_filter(serving: Gateway) -> None:
    assert status_for("blue.example.org", serving) == 426


def test_its_own_tests_pass() -> None:
    run(
        sys.executable,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", PACKAGE / "tests"),
        cwd=PACKAGE,
        env={"PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def echo(ws: ServerConnection) -> None:
    for message in ws:
        ws.send(message)


@pytest.mark.slow
@pytest.mark.parametrize("of", ["messages", "requests"])
def test_a_new_package_works_as_it_was_written(clean_python: Path, tmp_path: Path, of: str) -> None:
    name = f"my-{of}"
    run(clean_python, "-m", "easews", "new", name, f"--{of}", cwd=tmp_path)
    package = tmp_path / name
    options = ("--no-deps", "--no-build-isolation", "-w", "wheels")
    pip(sys.executable, "wheel", *options, package, cwd=tmp_path)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    pip(clean_python, "install", f"{wheel}[dev]", cwd=tmp_path)

    run(clean_python, "-m", "pytest", "-q", cwd=package)
    run(clean_python, "-m", "ruff", "check", ".", cwd=package)
    run(clean_python, "-m", "ruff", "format", "--check", ".", cwd=package)
    run(clean_python, "-m", "mypy", "--strict", cwd=package)
    run(clean_python, "-m", "easews", "plugins", "doctor", cwd=package)
    run(clean_python, "-m", "easews", "validate", "example.yaml", cwd=package)

    with serve(echo, LOOPBACK, 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        text = (package / "example.yaml").read_text().replace("${PORT:-8080}", str(free_port()))
        backend = f"ws://{LOOPBACK}:{server.socket.getsockname()[1]}"
        text = text.replace("${BACKEND:-ws://127.0.0.1:9000}", backend)
        with (
            running(text, tmp_path, easews=(str(clean_python), "-m", "easews")) as gateway,
            connect(gateway.ws("/"), additional_headers={"X-Version": "2"}) as ws,
        ):
            ws.send("a secret")
            assert ws.recv(PATIENCE) == ("a ***" if of == "messages" else "a secret")
        server.shutdown()
        thread.join(PATIENCE)
