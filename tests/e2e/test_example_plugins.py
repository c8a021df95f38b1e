"""The packages in examples/plugins: built, installed, and at work with the configs beside them.

Their backends are the programs that their READMEs name.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, Lines, free_port, running
from tests.e2e.library import connect
from tests.e2e.wheels import EXAMPLES, ROOT, run
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

PLUGINS = ROOT / "examples" / "plugins"
BACKEND = PLUGINS / "backend.py"
MODEL = PLUGINS / "token-budget" / "server.py"
KEY = "the-key"


@contextmanager
def program(file: Path, *arguments: str) -> Iterator[int]:
    """The port of a backend that runs as long as the block does."""
    port = free_port()
    command = [sys.executable, str(file), str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = Lines(process.stdout)
        try:
            lines.wait_for(f" on {port}")
            yield port
        finally:
            process.kill()
            lines.all()


@contextmanager
def example(
    name: str, python: Path, folder: Path, loop: str = "asyncio", **ports: int
) -> Iterator[Gateway]:
    """The example at work, with the config beside it and backends on these ports."""
    text = (PLUGINS / name / "gateway.yaml").read_text().replace("${MODEL_API_KEY}", KEY)
    for variable, port in {"PORT": free_port(), **ports}.items():
        before, variable_there, behind = text.partition(f"${{{variable}:-")
        assert variable_there
        text = f"{before}{port}{behind.partition('}')[2]}"
    easews = (str(python), "-m", "easews")
    with running(text, folder, "--backend", loop, easews=easews) as gateway:
        yield gateway


@contextmanager
def echoed(name: str, python: Path, folder: Path, loop: str = "asyncio") -> Iterator[Gateway]:
    """The example in front of the backend that sends back what it gets."""
    with (
        program(BACKEND) as port,
        example(name, python, folder, loop, BACKEND_PORT=port) as gateway,
    ):
        yield gateway


def test_all_of_them_are_listed(clean_python: Path, tmp_path: Path) -> None:
    listed = run(clean_python, "-m", "easews", "kinds", cwd=tmp_path)

    assert [each.name for each in EXAMPLES if f"easews-{each.name}" not in listed] == []


@pytest.mark.parametrize("package", EXAMPLES, ids=lambda package: package.name)
def test_their_configs_are_valid(clean_python: Path, package: Path, tmp_path: Path) -> None:
    config = package / "gateway.yaml"
    env = {"MODEL_API_KEY": KEY}
    run(clean_python, "-m", "easews", "validate", config, cwd=tmp_path, env=env)


def test_a_user_has_two_sessions_and_not_three(clean_python: Path, tmp_path: Path) -> None:
    with (
        echoed("connections-per-user", clean_python, tmp_path) as gateway,
        connect(gateway.ws("/?user=ada")),
        connect(gateway.ws("/?user=ada")),
    ):
        with pytest.raises(InvalidStatus) as refused, connect(gateway.ws("/?user=ada")):
            pass
        with connect(gateway.ws("/?user=bob")) as bob:
            bob.send("hi")
            assert bob.recv(PATIENCE) == "hi"

    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "10"


def test_a_user_gets_the_same_release_by_page_and_by_socket(
    clean_python: Path, tmp_path: Path
) -> None:
    with (
        program(BACKEND, "old") as old,
        program(BACKEND, "new") as new,
        example("ab-routing", clean_python, tmp_path, BACKEND_PORT=old, B_PORT=new) as gateway,
    ):
        names = {user: page(gateway, str(user)) for user in range(50)}
        cookies = {user: cookie_of_socket(gateway, str(user)) for user in range(50)}

    assert {*names.values()} == {"old", "new"}
    variants = {"old": "a", "new": "b"}
    assert cookies == {user: variants[name] for user, name in names.items()}


def page(gateway: Gateway, user: str) -> str:
    with closing(HTTPConnection(LOOPBACK, gateway.port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/", headers={"X-User": user})
        return connection.getresponse().read().decode().strip()


def cookie_of_socket(gateway: Gateway, user: str) -> str:
    with connect(gateway.ws("/"), additional_headers={"X-User": user}) as client:
        assert client.response is not None
        name, _, value = client.response.headers["Set-Cookie"].partition(";")[0].partition("=")
        assert name == "variant"
        return value


def test_the_audit_trail_has_a_session_that_has_ended(
    clean_python: Path, tmp_path: Path, loop: str
) -> None:
    with (
        echoed("audit-trail", clean_python, tmp_path, loop) as gateway,
        connect(gateway.ws("/chat")) as client,
    ):
        for text in ("one", "two"):
            client.send(text)
            assert client.recv(PATIENCE) == text

    with closing(sqlite3.connect(tmp_path / "audit.db")) as db:
        rows = db.execute(
            "SELECT client, path, ended_by, code, from_client, from_backend FROM sessions"
        ).fetchall()
    assert rows == [(LOOPBACK, "/chat", "client", 1000, 2, 2)]


def test_a_bot_answers_in_place_of_the_backend(clean_python: Path, tmp_path: Path) -> None:
    with (
        echoed("chat-bot", clean_python, tmp_path) as gateway,
        connect(gateway.ws("/")) as client,
    ):
        for text in ("/rules", "hello"):
            client.send(text)
        assert client.recv(PATIENCE) == "bot: Be kind."
        assert client.recv(PATIENCE) == "hello"


def test_a_field_is_hidden(clean_python: Path, tmp_path: Path) -> None:
    with (
        echoed("mask-json-field", clean_python, tmp_path) as gateway,
        connect(gateway.ws("/")) as client,
    ):
        client.send(json.dumps({"user": "ada", "password": "secret"}))
        assert json.loads(client.recv(PATIENCE)) == {"user": "ada", "password": "***"}


def test_lines_become_json_and_lines_again(clean_python: Path, tmp_path: Path) -> None:
    with (
        echoed("translate-protocol", clean_python, tmp_path) as gateway,
        connect(gateway.ws("/")) as client,
    ):
        client.send('shout,lobby\nsay,lobby,"hello, all"\nsay,lobby,again')
        assert client.recv(PATIENCE) == "error,no such command: shout"
        assert client.recv(PATIENCE) == 'say,lobby,"hello, all"'
        assert client.recv(PATIENCE) == "say,lobby,again"


@pytest.fixture(scope="module")
def model(
    clean_python: Path, tmp_path_factory: pytest.TempPathFactory, loop: str
) -> Iterator[Gateway]:
    """Users have a budget of 100 tokens; a word of an answer costs 10."""
    folder = tmp_path_factory.mktemp("model")
    with (
        program(MODEL, KEY) as port,
        example("token-budget", clean_python, folder, loop, BACKEND_PORT=port) as gateway,
    ):
        yield gateway


def ask(client: ClientConnection, words: int) -> None:
    client.send(json.dumps({"type": "response.create", "input": "word " * words}))


def events(client: ClientConnection, last: str) -> list[str]:
    """The types of the events up to the first one of the type `last`."""
    seen: list[str] = []
    while last not in seen:
        seen.append(event(client)["type"])
    return seen


def event(client: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.recv(PATIENCE))
    return found


def test_the_key_is_added_and_replaces_the_clients_own(model: Gateway) -> None:
    headers = {"Authorization": "Bearer of-the-client"}
    with connect(model.ws("/?user=anyone"), additional_headers=headers) as client:
        assert event(client) == {"type": "session.created"}


def test_a_budget_is_warned_of_and_then_ends_the_session(model: Gateway) -> None:
    with connect(model.ws("/?user=ada")) as client:
        ask(client, 8)
        assert events(client, "warning")[-2:] == ["response.done", "warning"]
        ask(client, 2)
        assert events(client, "error")[-2:] == ["response.done", "error"]
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "the token budget is spent")

    with connect(model.ws("/?user=ada")) as again:
        assert "error" in events(again, "error")
        with pytest.raises(ConnectionClosed, match="1008"):
            again.recv(PATIENCE)


def test_another_session_of_the_user_ends_with_it(model: Gateway) -> None:
    with connect(model.ws("/?user=bob")) as one, connect(model.ws("/?user=bob")) as other:
        ask(one, 10)
        assert events(other, "error") == ["session.created", "error"]
        with pytest.raises(ConnectionClosed, match="1008"):
            other.recv(PATIENCE)
