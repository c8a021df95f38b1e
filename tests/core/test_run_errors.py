"""What `run` says when it cannot serve: the place, the fault, the remedy, and no traceback."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest
from typer.testing import CliRunner, Result

from easews import Context, Filter
from easews.cli import app as cli
from easews.plugins import Kind, Kinds


class Fragile(Filter):
    """Cannot start."""

    kind = "Fragile"
    schema: ClassVar[Mapping[str, Any] | str] = {"type": "object", "properties": {}}

    async def __aenter__(self) -> Self:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), "words.txt")

    async def handle(self, ctx: Context) -> None:
        pass


KINDS = Kinds([Kind("Fragile", Fragile, {"type": "object"}, "easews-fragile", "1.0")])
PIPELINE = "kind: Pipeline\nname: p\nfilters:\n- kind: Fragile\n  name: f\n"
SERVER = "kind: HTTPServer\nname: w\naddress: {}\nport: {}\n"


@pytest.fixture(autouse=True)
def fragile_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easews.cli.run.discover", lambda: KINDS)


def run(config: str, *options: str) -> Result:
    return CliRunner().invoke(cli.app, ["run", *options, "-"], input=config)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_port_that_is_taken(taken: int) -> None:
    result = run(SERVER.format("127.0.0.1", taken))
    assert result.exit_code == 1
    assert result.stderr == (
        f"easews: <stdin>:4:7: w cannot listen on 127.0.0.1:{taken}: Address already in use; "
        "another process listens there; stop it, or choose another port\n"
    )


@pytest.mark.parametrize(("options", "format"), [((), "json"), (("--log-format", "text"), "text")])
def test_an_option_counts_before_the_config(
    options: tuple[str, ...], format: str, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats: list[str] = []

    def writing(format: str) -> AbstractContextManager[None]:
        formats.append(format)
        return nullcontext()

    monkeypatch.setattr("easews.operate.process.writing_logs", writing)
    server = SERVER.format("127.0.0.1", taken)
    run(f"{server}---\n{{kind: Gateway, name: g, log: {{format: json}}}}", *options)
    assert formats == [format]


def test_a_port_for_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("easews.server.binding._listen", refuse)
    result = run(SERVER.format("127.0.0.1", 80))
    assert result.exit_code == 1
    assert result.stderr == (
        "easews: <stdin>:4:7: w cannot listen on 127.0.0.1:80: Permission denied; "
        "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one\n"
    )


def test_an_address_of_another_machine() -> None:
    result = run(SERVER.format("192.0.2.1", 8080))
    assert result.exit_code == 1
    assert result.stderr == (
        "easews: <stdin>:4:7: w cannot listen on 192.0.2.1:8080: Cannot assign requested "
        "address; it is no address of this machine; leave address out for all that are\n"
    )


def test_an_address_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def know_nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", know_nothing)
    result = run(SERVER.format("nowhere.example", 8080))
    assert result.exit_code == 1
    assert result.stderr == (
        "easews: <stdin>:4:7: w cannot listen on nowhere.example:8080: "
        "Name or service not known; write an IP, or a name that this machine can look up\n"
    )


@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_a_filter_that_cannot_start(backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        server = SERVER.format("127.0.0.1", probe.getsockname()[1])
    result = run(f"{PIPELINE}---\n{server}", "--backend", backend)
    assert result.exit_code == 1
    line = Fragile.__aenter__.__code__.co_firstlineno + 1
    assert result.stderr == (
        "easews: <stdin>:4:3: filter f of p (package easews-fragile) cannot start: "
        "FileNotFoundError: [Errno 2] No such file or directory: 'words.txt' "
        f"({__file__}:{line})\n"
    )


def test_a_config_without_a_server_is_not_run() -> None:
    result = run(PIPELINE)
    assert result.exit_code == 1
    assert result.stderr == (
        "easews: there is no HTTPServer in -, so nothing to run; "
        "write one whose rules lead to a pipeline; `easews init` shows how\n"
    )


@pytest.mark.parametrize("backend", ["trio", "uvloop"])
def test_an_event_loop_that_is_not_installed(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("", "--backend", backend)
    assert result.exit_code == 2
    assert result.stderr == (
        f"easews: {backend} is not installed; pip install {backend}, or leave out --backend\n"
    )


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOENT, "No such file or directory; check its name, and the folder that you are in"),
        (errno.EACCES, "Permission denied; allow this user to read it"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_file_that_cannot_be_read(
    number: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    result = CliRunner().invoke(cli.app, ["run", "w.yaml"])
    assert result.exit_code == 1
    assert result.stderr == f"w.yaml:1:1: cannot be read: {told}\n"
