"""A package by somebody else: installed from wheels into a clean environment, and at work there.

One package is that of docs/how-to/write-a-filter.md, in the folder third_party. The others are as
`easews new` writes them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, free_port, running
from tests.e2e.library import connect
from websockets.sync.server import ServerConnection, serve

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "third_party"
WSPROXY = ROOT / "plugins" / "wsproxy"
SOURCES = [ROOT, ROOT / "plugins" / "headers", PACKAGE]
CONFIG = PACKAGE / "gateway.yaml"


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What the command prints; AssertionError with all of its output when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def pip(python: Path | str, *arguments: str | Path, cwd: Path) -> None:
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check")
    run(python, "-m", "pip", *arguments[:1], *quiet, *arguments[1:], cwd=cwd)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheels, and knows nothing of this folder."""
    folder = tmp_path_factory.mktemp("clean")
    # setuptools leaves a folder `build` beside what it builds.
    sources = [*SOURCES, folder / "wsproxy"]
    shutil.copytree(WSPROXY, sources[-1], ignore=shutil.ignore_patterns("build", "*.so"))
    # With what builds them, which the extra `test` brings: nobody fetches it for each build.
    options = ("--no-deps", "--no-build-isolation", "-w", "wheels")
    pip(sys.executable, "wheel", *options, *sources, cwd=folder)
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    wheels = sorted((folder / "wheels").glob("*.whl"))
    assert len(wheels) == len(sources)
    pip(python, "install", *wheels, cwd=folder)
    return python


@pytest.fixture(scope="module")
def serving(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    text = CONFIG.read_text().replace("${PORT:-8080}", str(free_port()))
    folder = tmp_path_factory.mktemp("serving")
    with running(text, folder, easews=(str(python), "-m", "easews")) as gateway:
        yield gateway


def status_for(host: str, gateway: Gateway) -> int:
    connection = HTTPConnection(LOOPBACK, gateway.port, timeout=PATIENCE)
    connection.request("GET", "/", headers={"Host": host})
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_engine_comes_from_its_wheel(python: Path, tmp_path: Path) -> None:
    file = run(python, "-c", "import easews; print(easews.__file__)", cwd=tmp_path)

    assert file.startswith(str(python.parents[1]))


def test_its_kind_is_listed_with_package_and_version(python: Path, tmp_path: Path) -> None:
    lines = run(python, "-m", "easews", "kinds", cwd=tmp_path).splitlines()

    assert [line.split()[:4] for line in lines if line.startswith("Tenant ")] == [
        ["Tenant", "easews-tenant", "1.2.3", "unknownTenant,"]
    ]
    assert [line.split()[1] for line in lines if line.startswith("WebSocketProxy ")] == [
        "easews-wsproxy"
    ]


def test_a_config_with_it_is_valid(python: Path, tmp_path: Path) -> None:
    run(python, "-m", "easews", "validate", CONFIG, cwd=tmp_path)


def test_a_mistake_in_its_fields_is_found_by_its_schema(python: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(CONFIG.read_text().replace("  hosts:", "  host:"))

    with pytest.raises(AssertionError, match="did you mean 'hosts'"):
        run(python, "-m", "easews", "validate", wrong, cwd=tmp_path)


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
def test_a_new_package_works_as_it_was_written(python: Path, tmp_path: Path, of: str) -> None:
    name = f"my-{of}"
    run(python, "-m", "easews", "new", name, f"--{of}", cwd=tmp_path)
    package = tmp_path / name
    options = ("--no-deps", "--no-build-isolation", "-w", "wheels")
    pip(sys.executable, "wheel", *options, package, cwd=tmp_path)
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    pip(python, "install", f"{wheel}[dev]", cwd=tmp_path)

    run(python, "-m", "pytest", "-q", cwd=package)
    run(python, "-m", "ruff", "check", ".", cwd=package)
    run(python, "-m", "ruff", "format", "--check", ".", cwd=package)
    run(python, "-m", "mypy", "--strict", cwd=package)
    run(python, "-m", "easews", "plugins", "doctor", cwd=package)
    run(python, "-m", "easews", "validate", "example.yaml", cwd=package)

    with serve(echo, LOOPBACK, 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        text = (package / "example.yaml").read_text().replace("${PORT:-8080}", str(free_port()))
        backend = f"ws://{LOOPBACK}:{server.socket.getsockname()[1]}"
        text = text.replace("${BACKEND:-ws://127.0.0.1:9000}", backend)
        with (
            running(text, tmp_path, easews=(str(python), "-m", "easews")) as gateway,
            connect(gateway.ws("/"), additional_headers={"X-Version": "2"}) as ws,
        ):
            ws.send("a secret")
            assert ws.recv(PATIENCE) == ("a ***" if of == "messages" else "a secret")
        server.shutdown()
        thread.join(PATIENCE)
