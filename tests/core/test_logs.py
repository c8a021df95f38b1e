"""Log lines: what is in them, what they look like, and that writing them blocks nobody."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import (
    Connection,
    Context,
    Ending,
    Filter,
    Headers,
    Opening,
    Response,
    Route,
    Traffic,
    Upgrade,
)
from easews.observe.accesslog import AccessLog, without_query_values
from easews.observe.logs import (
    FIELDS,
    MAX_WAITING,
    JsonFormatter,
    TextFormatter,
    escaped,
    log_event,
    writing_logs,
)
from easews.testing import OpenSession, gateway, make_context

EVENT = logging.LogRecord("easews", logging.INFO, "", 0, "request", None, None)
vars(EVENT)[FIELDS] = {"id": "1", "status": 101, "cause": 'go "away"\n', "backend": ""}


def test_a_text_line_can_be_taken_apart() -> None:
    line = TextFormatter().format(EVENT)
    time, _, rest = line.partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert rest == r'INFO request id=1 status=101 cause="go \"away\"\n"'


def test_a_json_line_is_one_object() -> None:
    line = json.loads(JsonFormatter().format(EVENT))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "request",
        "id": "1",
        "status": 101,
        "cause": 'go "away"\n',
        "backend": "",
    }


@given(st.text())
def test_nobody_writes_lines_of_their_own(text: str) -> None:
    assert escaped(text).isprintable()
    record = logging.LogRecord("easews", logging.INFO, "", 0, "%s", (text,), None)
    vars(record)[FIELDS] = {"value": text}
    assert TextFormatter().format(record).isprintable()
    assert len(JsonFormatter().format(record).splitlines()) == 1


@given(st.text(alphabet="ab=&;?/%", max_size=30))
def test_query_values_are_left_out(query: str) -> None:
    target = without_query_values(f"/ws?token=s3cret&{query}&s3cret=x")
    assert target.startswith("/ws?token=&")
    assert target.endswith("&s3cret=")
    assert not re.search(r"=[^&;]", target)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SECRET", ""),
        ("a%3DSECRET", ""),
        ("a%3dSECRET=1", ""),
        ("SECRET==", ""),
        ("SECRET=", ""),
        ("=SECRET", "="),
        ("v=2&SECRET;w=3", "v=&;w="),
        ("a%5B%5D=1&b.c=2", "a%5B%5D=&b.c="),
        ("a=b=SECRET", "a="),
        ("SECRET%26b=1", ""),
        ("SECRET?b=1", ""),
    ],
)
def test_of_a_query_only_names_that_have_a_value_are_shown(query: str, shown: str) -> None:
    assert without_query_values(f"/ws?{query}") == f"/ws?{shown}"


def test_a_request_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ctx = make_context("/ws?token=secret", [("Cookie", "secret")])
    ctx.trace = [("auth", ""), ("proxy", "serverError")]
    ctx.backend = "ws://b"
    ctx.response = Response(502, reason="no server could be reached")
    AccessLog().request(ctx, 502, 12, 0.0015)
    fields = vars(caplog.records[0])[FIELDS]
    assert (fields["host"], fields["target"]) == ("gateway.example", "/ws?token=")
    assert (fields["status"], fields["sent"], fields["ms"]) == (502, 12, 1.5)
    assert (fields["flow"], fields["backend"]) == ("auth proxy:serverError", "ws://b")
    assert fields["reason"] == "no server could be reached"
    assert "secret" not in str(fields)


def test_an_answer_that_was_not_sent_is_no_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ctx = make_context()
    ctx.response = Response(502, reason="no server could be reached")
    AccessLog().request(ctx, 499, 0, 0.0015)
    assert vars(caplog.records[0])[FIELDS]["reason"] == ""


def test_the_end_of_a_session_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    opening = Opening("1", "::1", Route(path="/ws/", pipeline="p"), "ws://b", 0.0021, path="/ws/1")
    ending = Ending("backend", 1006, "lost", 2.5, Traffic(1, 2), Traffic(3, 4))
    AccessLog().session_ended(OpenSession(opening), ending)
    fields = vars(caplog.records[0])[FIELDS]
    assert (fields["closed_by"], fields["code"], fields["cause"]) == ("backend", 1006, "lost")
    assert (fields["path"], fields["route"], fields["pipeline"]) == ("/ws/1", "/ws/", "p")
    assert (fields["seconds"], fields["handshake_ms"]) == (2.5, 2.1)
    traffic = [fields[f"{what}_{way}"] for way in ("in", "out") for what in ("messages", "bytes")]
    assert traffic == [1, 2, 3, 4]


def test_events_are_written_with_and_without_other_listeners(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = logging.getLogger("easews.test")
    streams = (io.StringIO(), io.StringIO())
    with writing_logs("text", streams[0]):
        log_event(log, "told", {"what": "a"})
    with writing_logs("text", streams[1]):
        log.addHandler(caplog.handler)
        log_event(log, "told", {"what": "b"})
        log.removeHandler(caplog.handler)
    assert [stream.getvalue().partition(" ")[2] for stream in streams] == [
        "INFO told what=a\n",
        "INFO told what=b\n",
    ]
    assert [vars(record)[FIELDS] for record in caplog.records] == [{"what": "b"}]


def test_an_exception_is_indented_below_its_line() -> None:
    stream = io.StringIO()
    with writing_logs("text", stream):
        try:
            raise ValueError("boom")
        except ValueError:
            logging.getLogger("easews.x").exception("it failed")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("ERROR it failed")
    assert lines[-1] == "    ValueError: boom"


def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    reading, writing = os.pipe()
    log = logging.getLogger("easews.test")
    lines: list[str] = []
    with open(reading) as reader, ExitStack() as stack:
        stream = stack.enter_context(open(writing, "w"))
        stack.enter_context(writing_logs("text", stream))
        for number in range(30_000):
            log.info("long enough to fill a pipe soon: %d", number)
        # Only now is anything read; until then the writer's thread was stuck.
        reads = Thread(target=lambda: lines.extend(reader))
        reads.start()
        while len(lines) < MAX_WAITING:
            log.info("one more")
            time.sleep(0.001)
        stack.close()
        reads.join()
    assert lines[0].endswith("soon: 0\n")
    assert any("log lines were left out" in line for line in lines)


REWRITING = """
kind: HTTPServer
name: server
port: 80
rules: [{paths: [{pathPrefix: /chat/, rewriteTarget: /, backend: switch}]}]
---
{kind: Pipeline, name: switch, filters: [{kind: Switches, name: switches}]}
"""


class Switches(Filter):
    """Opens a session that ends at once."""

    kind = "Switches"

    async def handle(self, ctx: Context) -> None:
        ctx.response = Upgrade(Headers(), "x", "backend", self.start, lambda: None)

    def start(self, connection: Connection) -> None:
        connection.opened(OpenSession(connection.opening))
        connection.wire.close()
        connection.over(Ending("client", 1000, "closed", 0.0))


async def test_the_log_has_the_path_that_was_asked_for_and_the_one_of_the_config(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "easews.access")
    head = "GET /chat/1?token=x HTTP/1.1", "Host: h", "Connection: upgrade", "Upgrade: x", "", ""
    async with (
        gateway(REWRITING, Switches) as running,
        await anyio.connect_tcp(*running.address) as client,
    ):
        await client.send("\r\n".join(head).encode())
        assert b"".join([piece async for piece in client]).startswith(b"HTTP/1.1 101 ")
    lines = {record.getMessage(): vars(record)[FIELDS] for record in caplog.records}
    assert (lines["request"]["target"], lines["request"]["route"]) == ("/chat/1?token=", "/chat/")
    assert (lines["session"]["path"], lines["session"]["route"]) == ("/chat/1", "/chat/")


def test_each_of_several_processes_says_which_one_it_is() -> None:
    assert TextFormatter(2).format(EVENT).endswith(r'cause="go \"away\"\n" worker=2')
    assert json.loads(JsonFormatter(2).format(EVENT))["worker"] == 2


def test_lines_of_several_processes_do_not_get_into_each_other(tmp_path: Path) -> None:
    code = (
        "import logging, sys\n"
        "from easews.observe.logs import writing_logs\n"
        "number, turns = map(int, sys.argv[1:])\n"
        "with writing_logs('text', worker=number, turns=turns):\n"
        "    for line in range(300):\n"
        "        logging.getLogger('easews').info('%s', str(number) * 3000)\n"
    )
    reading, writing = os.pipe()  # a full pipe takes parts of what is written
    with (tmp_path / "turns").open("w") as turns, os.fdopen(reading) as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(number), str(turns.fileno())],
                stderr=writing,
                pass_fds=[turns.fileno()],
            )
            for number in (1, 2, 3)
        ]
        os.close(writing)
        lines = [line.split(" ", 1)[1] for line in log]
        assert [process.wait(30) for process in processes] == [0, 0, 0]
    whole = [f"INFO {str(number) * 3000} worker={number}\n" for number in (1, 2, 3)]
    assert [lines.count(line) for line in whole] == [300, 300, 300]
