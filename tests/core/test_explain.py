"""`easews explain`: what becomes of a request, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from easews import Filter, Message, Reads, Session
from easews.cli import app as cli
from easews.testing import kinds_with

CONFIG = """
kind: HTTPServer
name: gateway
port: 8080
rules:
- hosts: [a.example, "*.test"]
  hostRegexp: ^x
  paths: [{path: /ws, backend: shouts, clientMaxBodySize: -1}]
- ipFilter: {blockByDefault: true, allowIPs: [10.0.0.0/8]}
  paths: [{path: /inside, backend: plain}]
- paths:
  - {pathPrefix: /old/, rewriteTarget: /new/, methods: [GET, PUT], backend: plain}
  - path: /v
    backend: plain
    headers: [{key: X-Version, values: ["1", "2"], regexp: ^b}]
  - path: /v
    backend: plain
    matchAllQuery: true
    queries: [{key: q, values: [x]}, {key: r, regexp: ^y}]
  - {path: /v, backend: plain, ipFilter: {blockIPs: [127.0.0.1]}}
  - {pathRegexp: "^/n[0-9]$", backend: plain}
- paths: [{backend: plain, pathPrefix: /ws}]
---
kind: Pipeline
name: shouts
flow: [{filter: shout, jumpIf: {loud: END}}, {filter: hear}, {filter: other}]
filters:
- {kind: Shout, name: shout, size: 10}
- {kind: Hear, name: hear}
- {kind: Other, name: other}
---
{kind: Pipeline, name: plain, filters: [{kind: Other, name: other}]}
"""


class Shout(Filter):
    """Reads what clients write, up to a size of its config."""

    kind = "Shout"
    results = ("loud",)
    schema = {"type": "object", "properties": {"size": {"type": "integer"}}}  # noqa: RUF012

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self.reads = Reads(("client",), binary=False, max_size=spec["size"])

    def on_message(self, session: Session, message: Message) -> Message:
        return message


class Hear(Filter):
    """Reads all that clients send."""

    kind = "Hear"
    reads = Reads(("client",))

    def on_message(self, session: Session, message: Message) -> Message:
        return message


class Other(Filter):
    """Has a hook for sessions, and none for messages."""

    kind = "Other"
    opens_sessions = True

    def on_open(self, session: Session) -> None:
        pass


Easews = Callable[..., Result]


@pytest.fixture
def easews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Easews:
    """Runs `easews explain` on this config, in this process."""

    def run(url: str, *options: str, config: str = CONFIG) -> Result:
        monkeypatch.setattr("easews.cli.explain.discover", lambda: kinds_with(Shout, Hear, Other))
        file = tmp_path / "config.yaml"
        file.write_text(config)
        return CliRunner().invoke(cli.app, ["explain", str(file), url, *options])

    return run


def told(result: Result) -> Any:
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return json.loads(result.stdout)


def reasons(easews: Easews, url: str, *options: str) -> Sequence[Sequence[str]]:
    """The reasons of each path that was tried."""
    paths = told(easews(url, "--json", *options))["paths"]
    return [path["reasons"] for path in paths if path["tried"]]


def test_a_match_is_told_with_its_pipeline_and_what_stands_in_front(easews: Easews) -> None:
    result = easews("ws://b.example:8080/old/x?room=1")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[:4] == [
        "GET /old/x?room=1",
        "to b.example:8080, from 127.0.0.1",
        "",
        "Server gateway, which has port 8080",
    ]
    assert "rules[2].paths[0] pathPrefix /old/ matches" in lines
    assert "5 more paths behind it, not tried" in lines
    assert "Pipeline plain, which gets /new/x?room=1" in lines
    assert "other Other the-test 0 not read" in lines
    assert lines[-1] == "No filter reads messages: a session stays on the fast relay."


@pytest.mark.parametrize(
    ("url", "options", "rule", "reason"),
    [
        (
            "ws://b.example:8080/ws",
            [],
            0,
            "the rule is for a.example, *.test or hosts that match ^x, "
            "and the request for b.example",
        ),
        ("ws://a.example:8080/", [], 0, "the path is not /ws"),
        ("http://a.example:8080/inside", [], 1, "the rule's ipFilter does not let 127.0.0.1 in"),
        ("http://h:8080/new", [], 2, "the path does not begin with /old/"),
        (
            "http://h:8080/old/",
            ["--method", "post"],
            2,
            "the method is POST, and it takes GET or PUT",
        ),
        (
            "http://h:8080/v",
            ["--header", "X-Version: 3"],
            3,
            "it wants the header X-Version to be 1 or 2 or X-Version to match ^b",
        ),
        (
            "http://h:8080/v?q=x",
            [],
            4,
            "it wants the query parameter q to be x and r to match ^y",
        ),
        ("http://h:8080/v", [], 5, "its ipFilter does not let 127.0.0.1 in"),
        ("http://h:8080/n", [], 6, "the path does not match ^/n[0-9]$"),
    ],
)
def test_each_thing_that_a_path_wants_is_a_reason(
    easews: Easews, url: str, options: list[str], rule: int, reason: str
) -> None:
    assert reason in reasons(easews, url, *options)[rule]


@pytest.mark.parametrize(
    ("url", "options", "path"),
    [
        ("ws://a.example:8080/ws", [], 0),
        ("ws://xyz:8080/ws", [], 0),
        ("http://h:8080/inside", ["--client-ip", "10.1.1.1"], 1),
        ("http://h:8080/v", ["--header", "x-version: beta"], 3),
        ("http://h:8080/v?q=x&r=y1", [], 4),
        ("http://h:8080/v", ["--client-ip", "::1"], 5),
        ("http://h:8080/n7", [], 6),
        ("ws://h:8080/ws", ["--header", "Host: a.example"], 0),
    ],
)
def test_the_options_are_the_request(
    easews: Easews, url: str, options: list[str], path: int
) -> None:
    assert [not it for it in reasons(easews, url, *options)] == [*[False] * path, True]


def test_filters_that_read_messages_are_named_with_directions_and_sizes(easews: Easews) -> None:
    lines = easews("ws://a.example:8080/ws").stdout.splitlines()
    shout, hear, other = (line.split(maxsplit=4) for line in lines[-6:-3])
    assert shout[4] == "text messages of the client, up to 10B; loud jumps to END"
    assert hear[4] == "messages of the client, up to 1MiB"
    assert other[4] == "not read"
    assert lines[-2:] == [
        "Message mode, because of shout, hear: messages of the client, up to 10B.",
        "Messages of the backend stay on the fast relay.",
    ]


def test_a_filter_that_cannot_start_reads_what_its_class_says(easews: Easews) -> None:
    config = CONFIG.replace("name: shout, size: 10", "name: shout")
    shout, *_ = told(easews("ws://a.example:8080/ws", "--json", config=config))["filters"]
    assert shout["reads"]["maxSize"] == 1024 * 1024
    assert shout["note"] == "as its class says; it cannot start: KeyError: 'size'"


def test_a_refusal_is_told_with_its_status(easews: Easews) -> None:
    result = easews("http://h:8080/nowhere", "--client-ip", "10.0.0.1")
    assert result.exit_code == 1
    last = result.stdout.splitlines()[-1]
    assert last == "Refused: 404, no rule of this server matches this host and path"


CLOSED = CONFIG.replace("port: 8080", "port: 8080\nipFilter: {blockByDefault: true}")


@pytest.mark.parametrize(
    ("config", "url", "status"),
    [
        (CONFIG, "http://h:8080/a/../v", 400),
        (CLOSED, "http://h:8080/", 403),
    ],
)
def test_what_the_server_refuses_by_itself_is_tried_on_no_path(
    easews: Easews, config: str, url: str, status: int
) -> None:
    found = told(easews(url, "--json", config=config))
    assert found["refused"]["status"] == status
    assert not any(path["tried"] for path in found["paths"])
    text = easews(url, config=config).stdout
    assert "8 paths, not tried: the server refuses the request by itself" in text


def test_all_of_it_as_json(easews: Easews) -> None:
    found = told(easews("ws://a.example:8080/ws?café=1", "--json"))
    assert found["request"] == {
        "url": "ws://a.example:8080/ws?café=1",
        "method": "GET",
        "target": "/ws?caf%C3%A9=1",
        "host": "a.example:8080",
        "client": "127.0.0.1",
    }
    assert found["match"] == {
        "path": "/ws",
        "pipeline": "shouts",
        "target": "/ws?caf%C3%A9=1",
        "clientMaxBodySize": -1,
    }
    assert (found["server"], found["refused"]) == ("gateway", None)
    assert found["paths"][0] == {
        "place": "rules[0].paths[0]",
        "hosts": ["a.example", "*.test", "^x"],
        "takes": "path /ws",
        "matches": True,
        "tried": True,
        "reasons": [],
    }
    assert [it["name"] for it in found["filters"]] == ["shout", "hear", "other"]
    assert found["filters"][0]["jumpIf"] == {"loud": "END"}
    assert found["filters"][2]["hooks"] == ["on_open"]
    assert found["messageMode"]["client"]["maxSize"] == 10
    assert found["messageMode"]["backend"] is None


SECOND = CONFIG + "---\n{kind: HTTPServer, name: other, port: 8081}\n"


def test_the_server_is_that_of_the_urls_port_or_the_one_that_is_named(easews: Easews) -> None:
    assert told(easews("http://h:8081/", "--json", config=SECOND))["server"] == "other"
    named = easews("http://h/", "--json", "--server", "gateway", config=SECOND)
    assert told(named)["server"] == "gateway"


def test_the_only_server_is_taken_whatever_the_port_and_that_is_said(easews: Easews) -> None:
    told_ = easews("https://h/v").stdout
    assert "Note: the URL has port 443, and gateway has port 8080" in told_


def test_a_scheme_that_the_server_does_not_speak_is_said(easews: Easews) -> None:
    assert "Note: gateway speaks no TLS (http://, ws://)" in easews("wss://h:8080/ws").stdout
    assert "Note" not in easews("ws://h:8080/ws").stdout


@pytest.mark.parametrize(
    ("url", "options", "hint"),
    [
        ("localhost:8080/ws", [], "write one such as ws://host:8080/path"),
        ("ws://h:808080/ws", [], "is no URL"),
        ("ftp://h/", [], "write one such as"),
        ("ws://h/", [], "none has port 80; choose with --server: gateway (has port 8080), other"),
        ("ws://h/", ["--server", "gatewya"], "did you mean 'gateway'?"),
        ("ws://h:8080/", ["--client-ip", "localhost"], "write one such as 192.0.2.1"),
        ("ws://h:8080/", ["--header", "X-Version=1"], "write it as 'Name: value'"),
    ],
)
def test_what_is_unclear_is_a_usage_error_with_what_to_write(
    easews: Easews, url: str, options: list[str], hint: str
) -> None:
    result = easews(url, *options, config=SECOND)
    assert (result.exit_code, result.stdout) == (2, "")
    assert hint in re.sub(r"[\s│]+", " ", result.stderr)


def test_a_config_with_problems_is_reported(easews: Easews) -> None:
    result = easews("ws://h/", config="{kind: HTTPServer, name: g, prot: 1}")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 'port'?" in result.stderr
