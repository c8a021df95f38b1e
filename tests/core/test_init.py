"""`easews init`: whatever it writes is a valid config, and what it cannot do it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from easews.cli import app as cli
from easews.cli.starter import starter
from easews.plugins import Kinds
from easews.testing import load_config


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def easews(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def server_of(text: str) -> str:
    (pipeline,) = load_config(text).pipelines
    url: str = pipeline.filters[-1].spec["pools"][0]["servers"][0]["url"]
    return url


def test_what_it_writes_is_valid(folder: Path) -> None:
    written = easews("init", "ws://backend.example:9000")
    assert written.exit_code == 0
    assert written.stdout.splitlines()[-1] == "Next: easews run easews.yaml"
    assert easews("validate", "easews.yaml").stdout == "No problems: 1 server, 1 pipeline\n"
    assert server_of((folder / "easews.yaml").read_text()) == "ws://backend.example:9000"


def test_every_setting_to_try_is_valid() -> None:
    text = starter("ws://127.0.0.1:9000", "easews.yaml").text
    tried, count = re.subn(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE)
    (server,), (pipeline,) = (config := load_config(tried)).servers, config.pipelines
    assert count == 9
    assert [str(peers) for peers in server.trusted_proxies] == ["10.0.0.0/8"]
    assert [entry.kind.name for entry in pipeline.filters] == ["XForwarded", "WebSocketProxy"]
    (pool,) = pipeline.filters[1].spec["pools"]
    assert len(pool["servers"]) == 2
    assert {"originPatterns", "clientMaxMsgSize", "clientRateLimit", "timeouts"} <= pool.keys()


def test_the_gateway_object_of_the_pages_can_be_added() -> None:
    text = starter("ws://127.0.0.1:9000", "easews.yaml").text
    admin = 'kind: Gateway\nname: gateway\nadmin: {address: "127.0.0.1:9901"}\n'
    assert load_config(f"{text}---\n{admin}").servers


def test_a_server_with_tls_gets_a_gateway_without() -> None:
    made = starter("wss://backend.example/ws", "easews.yaml")
    assert (made.gateway, made.backend) == (
        "ws://127.0.0.1:8080/ws",
        "wss://backend.example/ws",
    )
    (pipeline,) = load_config(starter("https://a.example", "easews.yaml").text).pipelines
    assert [entry.kind.name for entry in pipeline.filters] == ["Proxy", "WebSocketProxy"]


def test_an_http_url_gets_both_kinds_in_one_pipeline() -> None:
    text = starter("http://127.0.0.1:9000", "easews.yaml").text
    tried, count = re.subn(r"^( *)#(?=\S)", r"\1", text, flags=re.MULTILINE)
    assert count == 10
    for made in (text, tried):
        (pipeline,) = load_config(made).pipelines
        assert [entry.kind.name for entry in pipeline.filters] == ["Proxy", "WebSocketProxy"]
        assert [(step.filter, dict(step.jump_if)) for step in pipeline.flow] == [
            ("sockets", {"notWebSocket": "pages"}),
            ("pages", {}),
        ]
        urls = {entry.spec["pools"][0]["servers"][0]["url"] for entry in pipeline.filters}
        assert urls == {"http://127.0.0.1:9000"}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://localhost:9000", [True, True]),
        ("ws://LOCALHOST.:9000", [True]),
        ("http://backend.example", [False, False]),
        ("http://127.0.0.1:9000", [False, False]),
        ("http://[::1]:9000", [False, False]),
    ],
)
def test_an_application_at_localhost_gets_the_browsers_host(url: str, kept: list[bool]) -> None:
    text = starter(url, "easews.yaml").text
    (pipeline,) = load_config(text).pipelines
    pools = [entry.spec["pools"][0] for entry in pipeline.filters]
    assert [pool["servers"][0]["keepHost"] for pool in pools] == kept
    assert text.count("#keepHost: true") == (2 if "backend" in url else 0)


def test_what_is_said_to_be_the_default_of_a_proxy_is() -> None:
    text = starter("http://127.0.0.1:9000", "easews.yaml").text
    tried = text.replace("#timeouts: {connect: 5s, resp", "timeouts: {connect: 5s, resp")
    assert tried != text
    specs = [load_config(made).pipelines[0].filters[0].spec for made in (text, tried)]
    assert specs[0] == specs[1]


@pytest.mark.parametrize("field", ["timeouts", "keepAlive"])
def test_what_is_said_to_be_the_default_is(field: str) -> None:
    text = starter("ws://127.0.0.1:9000", "easews.yaml").text
    tried = text.replace(f"#{field}: ", f"{field}: ")
    assert tried != text
    specs = [load_config(made).pipelines[0].filters[-1].spec for made in (text, tried)]
    assert specs[0] == specs[1]


@pytest.mark.parametrize(
    ("url", "server", "path", "port"),
    [
        ("ws://127.0.0.1:9000/chat", "ws://127.0.0.1:9000", "/chat", 8080),
        ("http://localhost:8080", "http://localhost:8080", "/", 8081),
        ("HTTP://localhost/app", "http://localhost", "/app", 8080),
        ("ws://[::1]:9000/a%20b", "ws://[::1]:9000", "/a b", 8080),
        ("ws://backend:/$x:%20'y'", "ws://backend", "/$x: 'y'", 8080),
        ("WS://backend/$%7BHOME%7D", "ws://backend", "/${HOME}", 8080),
    ],
)
def test_server_and_path_are_those_of_the_url(url: str, server: str, path: str, port: int) -> None:
    text = starter(url, "easews.yaml").text
    (listener,) = load_config(text, environ={}).servers
    assert server_of(text) == server
    assert (listener.rules[0].paths[0].path_prefix, listener.port) == (path, port)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("localhost:9000", "did you mean ws://localhost:9000?"),
        ("backend.example", "did you mean ws://backend.example?"),
        ("two words", "write one such as ws://127.0.0.1:12345"),
        ("unix:/run/app.sock", "write it into the config in place of ws://"),
        ("ftp://backend", "write one such as"),
        ("ws://", "it has no host"),
        ("ws://backend:0x50", "write one such as"),
        ("ws://backend/?room=1", "leave it out"),
        ("ws://backend/\u2028kind: X", "write one such as"),
        ("ws://bücher.example", "xn--"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(folder: Path, url: str, hint: str) -> None:
    result = easews("init", url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert hint in " ".join(result.stderr.split())
    assert not list(folder.iterdir())


def test_a_password_in_the_url_is_not_shown() -> None:
    result = easews("init", "ws://me:secret@backend")
    assert result.exit_code == 2
    assert "secret" not in result.output


def test_no_file_is_overwritten_unless_that_is_wanted(folder: Path) -> None:
    (folder / "mine.yaml").write_text("mine")
    refused = easews("init", "--output", "mine.yaml")
    assert refused.exit_code == 2
    assert "mine.yaml exists; name another, or overwrite it with --force" in refused.stderr
    assert (folder / "mine.yaml").read_text() == "mine"

    assert easews("init", "--output", "mine.yaml", "--force").exit_code == 0
    assert server_of((folder / "mine.yaml").read_text()) == "ws://127.0.0.1:12345"


def test_a_folder_that_is_not_there_is_told() -> None:
    result = easews("init", "--output", "nowhere/easews.yaml")
    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.stderr


def test_it_can_be_piped_into_validate(folder: Path) -> None:
    piped = easews("init", "--output", "-").stdout
    assert CliRunner().invoke(cli.app, ["validate", "-"], input=piped).exit_code == 0
    assert not list(folder.iterdir())


def test_without_the_proxy_nothing_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easews.cli.init.discover", lambda: Kinds([]))
    result = easews("init")
    assert result.exit_code == 1
    assert "'WebSocketProxy' is installed; pip install easews-wsproxy" in result.stderr
    assert not list(folder.iterdir())
