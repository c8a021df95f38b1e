"""`easews ctl`: how answers are shown, and what a gateway is asked, by a stand-in for one."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from easews.cli import app as cli
from easews.cli.ctl.address import endpoint_of
from easews.cli.ctl.conditions import conditions
from easews.cli.ctl.tables import Column, table_lines
from easews.cli.ctl.views import (
    frame_text,
    pools_text,
    reload_text,
    session_text,
    sessions_text,
    status_text,
)
from easews.cli.ctl.words import age, count, duration, size
from easews.operate.control import PoolState, ServerState, SessionPage, SessionState, Status

NOW = 1_800_000_000.0


def session(id: str = "7a-1", **fields: Any) -> SessionState:
    state: SessionState = {
        "id": id,
        "client": "192.0.2.7",
        "server": "web",
        "route": "/chat",
        "pipeline": "chat",
        "backend": "ws://10.0.0.5:9000",
        "path": "/chat?room=1",
        "opened": NOW - 7500,
        "age": 7500.0,
        "handshake": 0.0123,
        "generation": 1,
        "labels": {"user": "ann"},
        "messages_in": 1234,
        "bytes_in": 56789,
        "messages_out": 1,
        "bytes_out": 12,
        "client_rtt": 0.034,
        "backend_rtt": None,
        "held": 0,
        "worker": 0,
    }
    return {**state, **fields}  # type: ignore[typeddict-item]


def page(*sessions: SessionState, total: int | None = None, next: str | None = None) -> SessionPage:
    return {"sessions": [*sessions], "total": total or len(sessions), "next": next}


STATUS: Status = {
    "version": "0.1.0",
    "state": "draining",
    "ready": False,
    "pid": 4711,
    "started": NOW - 90061,
    "generation": 3,
    "older": [{"generation": 2, "sessions": 1}],
    "sessions": 12345,
    "draining": 7,
    "held": 5 * 1024 * 1024,
    "backend": "asyncio",
    "relay": "compiled",
    "listeners": [{"server": "web", "address": "0.0.0.0:443", "tls": True}],
    "workers": [{"number": 1, "pid": 4712, "state": "ready", "sessions": 6000, "restarts": 2}],
    "kept_behind": 4,
}
SERVER: ServerState = {
    "url": "ws://10.0.0.5:9000",
    "state": "down",
    "since": NOW - 61,
    "error": "Connection refused",
    "active": 0,
    "weight": 1.0,
}
POOL: PoolState = {
    "pipeline": "chat",
    "filter": "proxy",
    "pool": 0,
    "policy": "leastConnections",
    "servers": [SERVER],
}


# Words


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (184, "3m 4s"),
        (7500, "2h 5m"),
        (3601, "1h"),
        (90061, "1d 1h"),
        (-1, "0s"),
    ],
)
def test_an_age_has_its_two_largest_units(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KiB"), (1 << 20, "1.0 MiB"), (150 << 30, "150 GiB")],
)
def test_a_size_has_few_digits(number: int, shown: str) -> None:
    assert size(number) == shown


def test_short_times_and_counts() -> None:
    assert [duration(it) for it in (None, 0.0004, 0.034, 1.25)] == ["-", "0.4 ms", "34 ms", "1.2 s"]
    assert count(1234567) == "1,234,567"


@given(st.integers(0, 999 << 40))
def test_any_size_takes_at_most_eight_characters(number: int) -> None:
    assert len(size(number)) <= 8


# Tables

COLUMNS = (
    Column("ID"),
    Column("NAME", rank=1, least=4),
    Column("SIZE", right=True, rank=2),
    Column("MORE", rank=3, least=5),
)
ROW = ["a-1", "something long", "12", "and a text"]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (None, ["ID   NAME            SIZE  MORE", "a-1  something long    12  and a text"]),
        (30, ["ID   NAME      SIZE  MORE", "a-1  somethi…    12  and a te…"]),
        (21, ["ID   NAME        SIZE", "a-1  something…    12"]),
        (14, ["ID   NAME", "a-1  somethin…"]),
        (4, ["ID", "a-1"]),
        (2, ["ID", "a…"]),
    ],
)
def test_cells_are_cut_and_then_columns_left_out(width: int | None, lines: list[str]) -> None:
    assert table_lines(COLUMNS, [ROW], width) == lines


cells = st.text(st.characters(categories=["L", "N", "P"]), max_size=30)


@given(st.lists(st.tuples(cells, cells, cells, cells).map(list), max_size=5), st.integers(1, 120))
def test_no_line_is_wider_than_the_terminal(rows: list[list[str]], width: int) -> None:
    shown = table_lines(COLUMNS, rows, width)
    assert len(shown) == len(rows) + 1
    assert all(len(line) <= width for line in shown)
    wide = table_lines(COLUMNS, rows, None)
    if max(map(len, wide)) <= width:
        assert shown == wide


def test_numbers_stand_at_the_end_of_their_column() -> None:
    rows = [["a", "b", "1", "c"], ["a", "b", "12345", "c"]]
    _, first, second = table_lines(COLUMNS, rows, None)
    assert first.index("1") == second.index("5")


# Views


def test_sessions_are_a_row_each() -> None:
    shown = sessions_text(page(session(), total=2345, next="x"), None, colour=False).splitlines()
    assert shown[0].split() == [
        *("ID", "CLIENT", "ROUTE", "BACKEND", "AGE", "IN", "OUT", "HELD", "RTT"),
        *("LABELS", "GENERATION"),
    ]
    assert "7a-1" in shown[1]
    assert "2h 5m" in shown[1]
    assert "55.5 KiB" in shown[1]
    assert shown[2] == "1 of 2,345 sessions; --limit shows more"
    assert sessions_text(page(), None, colour=False) == "No open session"
    short = sessions_text(page(session(), session()), None, 1, colour=False).splitlines()
    assert (len(short), short[2]) == (3, "1 of 2 sessions")


def test_a_narrow_terminal_keeps_what_matters_most() -> None:
    shown = sessions_text(page(session()), 40, colour=False).splitlines()
    assert all(len(line) <= 40 for line in shown)
    assert shown[0].split()[:2] == ["ID", "CLIENT"]
    assert "GENERATION" not in shown[0]


def test_no_client_can_write_to_the_terminal() -> None:
    bad = session(labels={"user": "\x1b[2J"}, path="/\x9b31m")
    for shown in (
        sessions_text(page(bad), None, colour=False),
        session_text(bad, None, colour=False),
        frame_text({"at": NOW, "from": "client", "type": "text", "fin": True, "size": 4,
                    "payload": "\x1b[2J"}),
    ):  # fmt: skip
        assert "\x1b" not in shown
        assert "\x9b" not in shown


def test_one_session_has_a_line_for_each_field() -> None:
    shown = session_text(session(), None, colour=False)
    assert "1,234 messages, 55.5 KiB" in shown
    assert "1 message, 12 B" in shown
    assert "2h 5m ago" in shown
    assert "worker" not in shown
    assert "worker" in session_text(session(worker=2), None, colour=False)


def test_the_status_tells_what_drains_and_who_works() -> None:
    shown = status_text(STATUS, NOW, None, colour=False)
    for text in (
        *("draining", "easews 0.1.0, asyncio, compiled", "4711, for 1d 1h"),
        *("2 with 1 session", "12,345", "5.0 MiB", "web at 0.0.0.0:443 (TLS)", "WORKER", "6,000"),
    ):
        assert text in shown


def test_a_status_of_one_process_has_no_workers() -> None:
    alone: Status = {**STATUS, "workers": [], "older": [], "kept_behind": 0, "draining": 0}
    shown = status_text(alone, NOW, None, colour=False)
    assert not any(word in shown for word in ("WORKER", "older", "behind", "draining  "))


def test_each_server_of_a_pool_has_a_row() -> None:
    shown = pools_text([POOL], NOW, None, colour=False)
    for text in ("ws://10.0.0.5:9000", "down", "1m 1s", "Connection refused", "leastConnections"):
        assert text in shown
    assert pools_text([], NOW, None, colour=False) == "No pool has a server"


def test_frames_are_a_line_each() -> None:
    frame = {"at": NOW, "from": "client", "type": "text", "fin": False, "size": 5, "code": None}
    assert frame_text(frame) == "08:00:00.000  client   text          5 B, more follows"
    assert frame_text({"lost": 3}) == "(3 frames more than could be told)"
    ended = {"ended": {"by": "client", "code": 1000, "cause": "closed"}}
    assert frame_text(ended) == "ended by client: 1000 closed"
    assert frame_text({"moved": "7a"}) == "7a has moved to a new process; tap it again"
    assert frame_text({"tapping": "7a", "shows": "headers"}) == "7a: its frames (headers)"


def test_a_refused_config_is_told_with_its_problems() -> None:
    shown = reload_text(
        {"outcome": "refused", "generation": 3, "changes": [], "problems": ["a.yaml:1:1: no"]}
    )
    assert shown.splitlines() == [
        "the config is refused; generation 3 is served on",
        "a.yaml:1:1: no",
    ]


# What is asked


@pytest.mark.parametrize(
    ("text", "origin", "path"),
    [
        ("127.0.0.1:9901", "http://127.0.0.1:9901", ""),
        ("[::1]:9901", "http://[::1]:9901", ""),
        ("gateway.example:80", "http://gateway.example:80", ""),
        ("unix:/run/admin.sock", "http://localhost", "/run/admin.sock"),
        ("https://gateway.example/", "https://gateway.example", ""),
    ],
)
def test_an_address_is_a_host_and_port_a_socket_or_a_url(text: str, origin: str, path: str) -> None:
    endpoint = endpoint_of(text)
    assert (endpoint.origin, endpoint.socket) == (origin, path)


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "127.0.0.1", "[::1]", "unix:admin.sock", "ws://a:1", "http://a/b", "a:x"],
)
def test_another_text_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        endpoint_of(text)


def test_conditions_are_a_query_and_a_body() -> None:
    wanted = conditions(["user=a b", "empty="], client="192.0.2.7", route=None)
    assert wanted.query(limit=5) == "?client=192.0.2.7&label.user=a+b&label.empty=&limit=5"
    assert wanted.body() == {"client": "192.0.2.7", "labels": {"user": "a b", "empty": ""}}
    assert not conditions([])
    with pytest.raises(ValueError, match="NAME=VALUE"):
        conditions(["user"])


class Gateway:
    """Stands in for an admin interface: answers by path, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str, Any, str]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = json.loads(body) if body else None
                token = self.headers.get("Authorization", "")
                gateway.asked.append((self.command, self.path, asked, token))
                status, content = gateway.answers.get(
                    self.path.partition("?")[0], (404, b'{"detail": "there is no such path"}')
                )
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815  # http.server's own name

            def log_message(self, format: str, *args: object) -> None:
                pass

            def address_string(self) -> str:
                return "client"

        self.handler = Handler
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str, value: object, status: int = 200) -> None:
        self.answers[path] = (status, json.dumps(value).encode())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    gateway.close()


Ctl = Callable[..., Result]


@pytest.fixture
def ctl(gateway: Gateway) -> Ctl:
    """Runs `easews ctl` for the stand-in."""

    def run(*arguments: str, **env: str) -> Result:
        given = {"EASEWS_ADMIN": gateway.address, "EASEWS_TOKEN": "", **env}
        return CliRunner(env=given).invoke(cli.app, ["ctl", *arguments])

    return run


def test_json_is_what_the_api_has_answered(gateway: Gateway, ctl: Ctl) -> None:
    gateway.answer("/api/v1/status", STATUS)
    assert json.loads(ctl("status", "--json").stdout) == STATUS
    gateway.answer("/api/v1/pools", [POOL])
    assert json.loads(ctl("pools", "--json").stdout) == [POOL]
    assert "12,345" in ctl("status").stdout
    assert "leastConnections" in ctl("pools").stdout


def test_the_options_say_which_sessions(gateway: Gateway, ctl: Ctl) -> None:
    gateway.answer("/api/v1/sessions", page(session()))
    result = ctl("sessions", "--route", "/chat", "--label", "user=ann", "--limit", "5")
    assert result.exit_code == 0
    assert "7a-1" in result.stdout
    assert gateway.asked[0][1] == "/api/v1/sessions?route=%2Fchat&label.user=ann&limit=5"


def test_more_sessions_than_a_page_has_are_asked_for_page_by_page(
    gateway: Gateway, ctl: Ctl
) -> None:
    gateway.answer("/api/v1/sessions", page(session(), session(), total=9, next="1.0~x"))
    found = json.loads(ctl("sessions", "--limit", "3", "--json").stdout)
    assert len(found["sessions"]) == 4
    assert [asked[1].partition("?")[2] for asked in gateway.asked] == [
        "limit=3",
        "limit=1&after=1.0~x",
    ]


def test_sessions_are_closed_by_id_or_condition(gateway: Gateway, ctl: Ctl) -> None:
    gateway.answer("/api/v1/sessions/close", {"closed": 2})
    result = ctl("close", "7a-1", "7a-2", "--code", "4001", "--reason", "bye")
    assert (result.exit_code, result.stdout) == (0, "2 sessions told to close\n")
    assert ctl("close", "--client", "192.0.2.7").exit_code == 0
    assert [asked[2] for asked in gateway.asked] == [
        {"ids": ["7a-1", "7a-2"], "code": 4001, "reason": "bye"},
        {"client": "192.0.2.7"},
    ]
    gateway.answer("/api/v1/sessions/close", {"closed": 0})
    assert ctl("close", "7a-1").exit_code == 1


def test_nothing_is_closed_without_a_condition(gateway: Gateway, ctl: Ctl) -> None:
    result = ctl("close")
    assert result.exit_code == 2
    assert not gateway.asked


def test_a_terminal_is_asked_before_several_are_closed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.answer("/api/v1/sessions", page(session(), total=37))
    gateway.answer("/api/v1/sessions/close", {"closed": 37})
    monkeypatch.setattr("easews.cli.ctl.sessions._is_terminal", lambda: True)
    arguments = ["ctl", "close", "--route", "/chat", "--admin", gateway.address]

    refused = CliRunner().invoke(cli.app, arguments, input="n\n")
    assert refused.exit_code == 1
    assert "Close 37 sessions?" in refused.stderr
    assert not [asked for asked in gateway.asked if asked[0] == "POST"]

    assert CliRunner().invoke(cli.app, arguments, input="y\n").exit_code == 0
    assert CliRunner().invoke(cli.app, [*arguments, "--yes"]).exit_code == 0
    assert len([asked for asked in gateway.asked if asked[0] == "POST"]) == 2


@pytest.mark.parametrize(
    ("arguments", "path", "answer", "shown"),
    [
        (["session", "7a/1"], "/api/v1/sessions/7a%2F1", session("7a/1"), "192.0.2.7"),
        (["ping", "7a-1"], "/api/v1/sessions/7a-1/ping", {"pinged": True}, "ping"),
        (
            ["drain", "ws://a"],
            "/api/v1/servers/drain",
            {"sessions": 1},
            "ws://a gets nothing new; 1 session is closed slowly",
        ),
        (["undrain", "ws://a"], "/api/v1/servers/undrain", {"undrained": True}, "is used again"),
        (
            ["reload"],
            "/api/v1/reload",
            {"outcome": "unchanged", "generation": 3, "changes": [], "problems": []},
            "nothing is different",
        ),
        (["config"], "/api/v1/config", [{"kind": "Pipeline", "name": "p"}], "kind: Pipeline"),
    ],
)
def test_each_command_asks_for_its_own(
    gateway: Gateway,
    ctl: Ctl,
    arguments: list[str],
    path: str,
    answer: object,
    shown: str,
) -> None:
    gateway.answer(path, answer)
    result = ctl(*arguments)
    assert result.exit_code == 0, result.output
    assert shown in result.stdout
    assert json.loads(ctl(*arguments, "--json").stdout) == answer


@pytest.mark.parametrize("answer", [[], {}, {"sessions": None}, "text", 7])
@pytest.mark.parametrize("command", ["status", "pools", "reload", "sessions"])
def test_an_answer_of_another_shape_is_told_without_a_traceback(
    gateway: Gateway, ctl: Ctl, command: str, answer: object
) -> None:
    gateway.answer(f"/api/v1/{command}", answer)
    result = ctl(command)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code == 0 or "does not answer as" in result.stderr
    as_json = ctl(command, "--json")
    assert as_json.exception is None or isinstance(as_json.exception, SystemExit)


def test_watched_sessions_are_shown_until_ctrl_c(
    gateway: Gateway, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.answer("/api/v1/sessions", page(session()))
    pauses = iter([None, KeyboardInterrupt])

    def sleep(seconds: float) -> None:
        if error := next(pauses):
            raise error

    monkeypatch.setattr("easews.cli.ctl.sessions.time.sleep", sleep)
    result = ctl("sessions", "--watch")
    assert result.exit_code == 0
    assert result.stdout.count("1 session\n") == 2


def test_a_refused_reload_has_status_1(gateway: Gateway, ctl: Ctl) -> None:
    refused = {"outcome": "refused", "generation": 3, "changes": [], "problems": ["a: no"]}
    gateway.answer("/api/v1/reload", refused)
    assert ctl("reload").exit_code == 1


@pytest.mark.parametrize(
    ("fields", "status", "shown"),
    [
        (
            {"kept_behind": 2},
            0,
            ["process 7 has taken over 5 sessions", "the old process drains 2 sessions"],
        ),
        ({}, 0, ["process 7 has taken over 5 sessions"]),
        (
            {"outcome": "refused", "moved": 0, "problems": ["it ends with 1"]},
            1,
            ["no new process has taken over; process 7 goes on", "it ends with 1"],
        ),
    ],
)
def test_an_upgrade_tells_where_the_sessions_are(
    gateway: Gateway, ctl: Ctl, fields: dict[str, Any], status: int, shown: list[str]
) -> None:
    done = {"outcome": "upgraded", "pid": 7, "moved": 5, "kept_behind": 0, "problems": []}
    gateway.answer("/api/v1/upgrade", {**done, **fields})
    result = ctl("upgrade")
    assert result.exit_code == status
    lines = result.stdout.splitlines()
    assert len(lines) == len(shown)
    assert all(line.startswith(text) for line, text in zip(lines, shown, strict=True))


@pytest.mark.parametrize(
    ("fields", "status", "shown"),
    [
        (
            {"kept_behind": 2},
            0,
            [
                "process 7 serves as worker 2, and has taken over 5 sessions",
                "the old process drains 2 sessions",
            ],
        ),
        (
            {"outcome": "refused", "moved": 0, "problems": ["it ends with 1"]},
            1,
            ["worker 2 is not replaced; process 7 goes on", "it ends with 1"],
        ),
    ],
)
def test_the_replacement_of_a_worker_tells_where_the_sessions_are(
    gateway: Gateway, ctl: Ctl, fields: dict[str, Any], status: int, shown: list[str]
) -> None:
    done = {"outcome": "replaced", "worker": 2, "pid": 7, "moved": 5}
    done |= {"kept_behind": 0, "problems": []}
    gateway.answer("/api/v1/workers/2/replace", {**done, **fields})
    result = ctl("replace-worker", "2")
    assert (result.exit_code, result.stdout.splitlines()) == (status, shown)


def test_metrics_are_printed_as_they_are(gateway: Gateway, ctl: Ctl) -> None:
    gateway.answers["/metrics"] = (200, b"# TYPE easews_sessions gauge\n# EOF\n")
    assert ctl("metrics").stdout == "# TYPE easews_sessions gauge\n# EOF\n"


def test_a_tap_shows_each_frame(gateway: Gateway, ctl: Ctl) -> None:
    frames = [{"tapping": "7a-1", "shows": "headers"}, {"lost": 1}]
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in frames)
    gateway.answers["/api/v1/sessions/7a-1/tap"] = (200, lines)
    assert ctl("tap", "7a-1").stdout.splitlines()[0] == "7a-1: its frames (headers)"
    shown = ctl("tap", "7a-1", "--json").stdout.splitlines()
    assert [json.loads(line) for line in shown] == frames


@pytest.mark.parametrize(
    "lines", [b"junk\n", b"\xff\n", b"[" * 100_000 + b"\n", b'{"tapping": 1}\n']
)
def test_a_tap_of_another_shape_is_told_without_a_traceback(
    gateway: Gateway, ctl: Ctl, lines: bytes
) -> None:
    gateway.answers["/api/v1/sessions/7a-1/tap"] = (200, lines)
    result = ctl("tap", "7a-1")
    assert result.exit_code == 1
    assert "does not answer as" in result.stderr


def test_what_a_terminal_would_obey_is_escaped(gateway: Gateway, ctl: Ctl) -> None:
    gateway.answer("/api/v1/status", {**STATUS, "version": "\x1b[2J", "relay": "\x07"})
    assert "\\x1b[2J" in ctl("status").stdout
    gateway.answers["/api/v1/status"] = (409, b'{"detail": "\\u001b[2J"}')
    assert "\\x1b[2J" in ctl("status").stderr


def test_an_answer_that_is_nested_too_deeply_is_none(gateway: Gateway, ctl: Ctl) -> None:
    gateway.answers["/api/v1/status"] = (200, b"[" * 100_000)
    assert "is it another port?" in ctl("status").stderr


def test_the_token_is_that_of_the_file_else_of_the_environment(
    gateway: Gateway, ctl: Ctl, tmp_path: Path
) -> None:
    gateway.answer("/api/v1/status", STATUS)
    (tmp_path / "token").write_text("from the file\n")
    ctl("status", EASEWS_TOKEN="from the environment")
    ctl("status", "--token-file", str(tmp_path / "token"), EASEWS_TOKEN="other")
    tokens = [asked[3] for asked in gateway.asked]
    assert tokens == ["Bearer from the environment", "Bearer from the file"]


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        (401, b'{"detail": "write the token"}', "--token-file"),
        (403, b'{"detail": "another site"}', "another site (403)"),
        (404, b'{"detail": "no session with this id is open"}', "no session with this id is open"),
        (501, b'{"detail": "this gateway cannot"}', "this gateway cannot (501)"),
        (404, b"<html>", "is it another port?"),
        (200, b"<html>", "is it another port?"),
    ],
)
def test_a_refusal_goes_to_standard_error(
    gateway: Gateway, ctl: Ctl, status: int, content: bytes, told: str
) -> None:
    gateway.answers["/api/v1/sessions/7a-1"] = (status, content)
    result = ctl("session", "7a-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_a_gateway_it_says_how_to_have_one() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        result = CliRunner().invoke(cli.app, ["ctl", "status", "--admin", address])
    assert result.exit_code == 1
    assert f"cannot connect to {address}: Connection refused" in result.stderr
    assert f"`admin: {{address: {address}}}`" in result.stderr


def test_a_unix_socket_is_asked_as_well(gateway: Gateway, tmp_path: Path) -> None:
    gateway.answer("/api/v1/status", STATUS)
    path = os.path.relpath(tmp_path / "s") if len(str(tmp_path)) > 90 else str(tmp_path / "s")
    with ThreadingUnixStreamServer(path, gateway.handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        result = CliRunner().invoke(cli.app, ["ctl", "status", "--admin", f"unix:{path}"])
        server.shutdown()
        thread.join()
    assert "12,345" in result.stdout, result.output
    missing = CliRunner().invoke(cli.app, ["ctl", "status", "--admin", "unix:/no/such.sock"])
    assert "No such file or directory" in missing.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "--admin", "nonsense"],
        ["sessions", "--label", "user"],
        ["sessions", "--limit", "0"],
        ["session"],
        ["unknown"],
    ],
)
def test_a_wrong_command_line_has_status_2(ctl: Ctl, arguments: list[str]) -> None:
    assert ctl(*arguments).exit_code == 2


def test_a_token_file_that_is_not_there_is_told(ctl: Ctl) -> None:
    result = ctl("status", "--token-file", "/no/such/file")
    assert result.exit_code == 1
    assert "/no/such/file" in result.stderr
