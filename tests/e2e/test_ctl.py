"""`easews ctl` for a real gateway: sessions are seen, pinged and closed; servers are drained."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.gateway import PATIENCE, Gateway, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend, connect
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed

from easews.cli import app as cli

TOKEN = "0123456789abcdef0123456789abcdef"


@contextmanager
def administered(
    backend: LibraryBackend, folder: Path, loop: str
) -> Iterator[tuple[Gateway, Path, str]]:
    """A gateway with an admin interface on a unix socket, its token's file, and its address."""
    (folder / "token").write_text(TOKEN)
    address = f"unix:{folder}/admin.sock"
    admin = {"address": address, "tokenFile": "token"}
    text = config(free_port(), proxied("/echo", backend.url))
    text += "---\n" + json.dumps({"kind": "Gateway", "name": "gateway", "admin": admin})
    with running(text, folder, "--backend", loop) as gateway:
        yield gateway, folder / "token", address


Ctl = Callable[..., Any]


@pytest.fixture
def gateway_and_ctl(
    backend: LibraryBackend, tmp_path: Path, loop: str
) -> Iterator[tuple[Gateway, Ctl]]:
    with administered(backend, tmp_path, loop) as (gateway, token, address):

        def ctl(*arguments: str, status: int = 0) -> Any:
            """What the command prints, as JSON."""
            options = ["--admin", address, "--token-file", str(token), "--json"]
            result = CliRunner().invoke(cli.app, ["ctl", *arguments, *options])
            assert result.exit_code == status, result.output
            return json.loads(result.stdout) if result.stdout else result.stderr

        yield gateway, ctl


def test_a_session_is_seen_and_closed_with_a_code(
    gateway_and_ctl: tuple[Gateway, Ctl], backend: LibraryBackend
) -> None:
    gateway, ctl = gateway_and_ctl
    with connect(gateway.ws("/echo")) as ws:
        ws.send("hello")
        assert ws.recv(PATIENCE) == "hello"
        (one,) = ctl("sessions", "--route", "/echo")["sessions"]
        assert (one["messages_in"], one["messages_out"]) == (1, 1)
        assert ctl("sessions", "--client", "192.0.2.9")["total"] == 0
        assert ctl("session", one["id"])["backend"] == backend.url
        assert ctl("ping", one["id"]) == {"pinged": True}
        assert ctl("status")["sessions"] == 1
        assert ctl("close", one["id"], "--code", "4001", "--reason", "bye") == {"closed": 1}
        with pytest.raises(ConnectionClosed):
            ws.recv(PATIENCE)
        assert (ws.close_code, ws.close_reason) == (4001, "bye")
    assert backend.ending()[0] is not None
    assert "no session with this id" in ctl("session", one["id"], status=1)


def test_a_server_is_drained_and_used_again(
    gateway_and_ctl: tuple[Gateway, Ctl], backend: LibraryBackend
) -> None:
    _, ctl = gateway_and_ctl
    assert ctl("drain", backend.url) == {"sessions": 0}
    (pool,) = ctl("pools")
    assert pool["servers"][0]["state"] == "drained"
    assert ctl("undrain", backend.url) == {"undrained": True}
    assert "easews:" in ctl("drain", "ws://192.0.2.1:1", status=1)


def test_the_config_is_shown_without_secrets_and_reloaded(
    gateway_and_ctl: tuple[Gateway, Ctl], tmp_path: Path
) -> None:
    _, ctl = gateway_and_ctl
    assert TOKEN not in json.dumps(ctl("config"))
    assert ctl("reload")["outcome"] == "unchanged"
    (tmp_path / "config.yaml").write_text("kind: nonsense")
    assert ctl("reload", status=1)["outcome"] == "refused"


def test_a_tap_tells_the_frames_until_the_session_is_over(
    backend: LibraryBackend, tmp_path: Path, loop: str
) -> None:
    with (
        administered(backend, tmp_path, loop) as (gateway, token, address),
        connect(gateway.ws("/echo"), compression=None) as ws,
    ):
        options = ["--admin", address, "--token-file", str(token)]
        listed = CliRunner().invoke(cli.app, ["ctl", "sessions", "--json", *options])
        name = json.loads(listed.stdout)["sessions"][0]["id"]
        command = [sys.executable, "-m", "easews", "ctl", "tap", name, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tapping:
            assert tapping.stdout is not None
            assert tapping.stdout.readline() == f"{name}: its frames (headers)\n"
            ws.send("hello")
            assert ws.recv(PATIENCE) == "hello"
            ws.close(4000)
            shown = tapping.stdout.read()
        assert tapping.returncode == 0
    assert backend.ending()[0] == 4000
    assert [line.split()[1:5] for line in shown.splitlines()[:2]] == [
        ["client", "text", "5", "B"],
        ["backend", "text", "5", "B"],
    ]
    assert "4000" in shown
    assert shown.splitlines()[-1].startswith("ended by client: 4000")


def test_the_metrics_are_those_of_this_gateway(
    backend: LibraryBackend, tmp_path: Path, loop: str
) -> None:
    with administered(backend, tmp_path, loop) as (gateway, token, address):
        with connect(gateway.ws("/echo")):
            asked = ["ctl", "metrics", "--admin", address, "--token-file", str(token)]
            result = CliRunner().invoke(cli.app, asked)
        backend.ending()
    assert result.exit_code == 0, result.output
    assert "easews_sessions" in result.stdout
    assert result.stdout.endswith("# EOF\n")


def test_without_the_token_nothing_is_told(
    backend: LibraryBackend, tmp_path: Path, loop: str
) -> None:
    with administered(backend, tmp_path, loop) as (_, _, address):
        command = [sys.executable, "-m", "easews", "ctl"]
        refused = subprocess.run(
            [*command, "sessions", "--admin", address],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "asks for a token; name its file with --token-file" in refused.stderr
