"""accessLogFormat: the line for a request, with Easegress's names and ours."""

from __future__ import annotations

import io
import json
import re
import socket

import pytest
from anyio import to_thread

from easews import Address, ConfigError, Context, Filter, Request, Response
from easews.http.h1 import RequestHead, parse_request_head
from easews.observe.formatted import NAMES, FormattedAccessLog
from easews.observe.logs import FIELDS, LINE, writing_logs
from easews.testing import gateway, load_config, make_context

#: Easegress's own default.
DEFAULT = (
    "[{{Time}}] [{{RemoteAddr}} {{RealIP}} {{Method}} {{URI}} {{Proto}} {{StatusCode}}] "
    "[{{Duration}} rx:{{ReqSize}}B tx:{{RespSize}}B] [{{Tags}}]"
)
CONFIG = """
kind: HTTPServer
name: server
port: 80
accessLogFormat: "%s"
rules: [{paths: [{backend: p}]}]
---
kind: Pipeline
name: p
filters: [{kind: Echo, name: echo}]
"""


class Echo(Filter):
    """Answers with the body that it gets, and renames the request meanwhile."""

    kind = "Echo"

    async def handle(self, ctx: Context) -> None:
        body = b"".join([piece async for piece in ctx.request.body])
        ctx.request.method, ctx.request.target = "PUT", "/changed"
        ctx.labels["user"] = "ada"
        ctx.response = Response(200, [("X-Answer", "yes")], body * 2)


def line_of(
    text: str, ctx: Context, caplog: pytest.LogCaptureFixture, head: RequestHead | None = None
) -> str:
    caplog.set_level("INFO")
    FormattedAccessLog(text).request(ctx, 200, 12, 0.0015, head, 7)
    line: str = vars(caplog.records[-1])[FIELDS][LINE]
    return line


def test_easegress_default_has_all_of_it(caplog: pytest.LogCaptureFixture) -> None:
    request = Request("GET", "/a?token=secret", peer=Address("10.0.0.1", 4711))
    ctx = Context(request)
    ctx.trace = [("auth", ""), ("proxy", "serverError")]
    ctx.labels["user"] = "ada"

    line = line_of(DEFAULT, ctx, caplog)

    time, rest = line.split(" ", 1)
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\]", time)
    assert rest == (
        "[10.0.0.1:4711 10.0.0.1 GET /a?token= HTTP/1.1 200] [1.500ms rx:7B tx:12B] "
        "[auth proxy:serverError user=ada]"
    )


def test_the_time_is_that_of_the_request_and_not_of_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easews.observe.formatted.time", lambda: 100.0)
    FormattedAccessLog("{{Time}}").request(make_context(), 200, 0, 40.0)
    assert not caplog.records  # nobody listens

    caplog.set_level("INFO")
    FormattedAccessLog("{{Time}}").request(make_context(), 200, 0, 40.0)
    assert vars(caplog.records[0])[FIELDS] == {LINE: "1970-01-01T00:01:00.000Z"}


def test_the_line_says_what_the_client_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    head = parse_request_head(bytearray(b"POST /a/b?x=1 HTTP/1.1\r\nHost: mine\r\n\r\n"))
    ctx = make_context("/changed", method="PUT")

    assert line_of("{{Method}} {{Host}} {{URI}} {{Path}}", ctx, caplog, head) == (
        "POST mine /a/b?x= /a/b"
    )


def test_names_of_our_own(caplog: pytest.LogCaptureFixture) -> None:
    ctx = make_context("/?a=1", [("User-Agent", "curl")])
    ctx.backend = "ws://b"
    ctx.response = Response(200, [("X-Answer", "1")], reason="because")
    text = "{{Header.User-Agent}} {{Query.a}} {{RespHeader.x-answer}} {{Backend}} {{Reason}}"

    assert line_of(f"{text} {{{{RequestID}}}}", ctx, caplog) == "curl 1 1 ws://b because test"


def test_all_headers_are_shown_without_those_that_carry_credentials(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = ("Authorization", "Cookie", "Sec-WebSocket-Protocol", "Referer")
    ctx = make_context("/", [(name, "secret") for name in names])
    ctx.response = Response(302, [("Set-Cookie", "secret"), ("Location", "secret"), ("A", "b")])

    line = line_of("{{ReqHeaders}} | {{RespHeaders}}", ctx, caplog)

    assert line == "Host: gateway.example | A: b"


def test_a_request_without_answer_has_no_headers_of_one(caplog: pytest.LogCaptureFixture) -> None:
    assert line_of("<{{RespHeaders}}{{RespHeader.X}}>", make_context(), caplog) == "<>"


def test_no_client_can_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    ctx = make_context("/?x=a%0ab", [("X", "\xc3\xa9\xff")])
    ctx.labels["user"] = "a\nb\u2028\x85\u202ec"
    stream = io.StringIO()

    with writing_logs("text", stream):
        FormattedAccessLog("{{Query.x}} {{Label.user}} {{Header.X}}").request(ctx, 200, 0, 0.0)

    assert stream.getvalue() == "a%0Ab a%0Ab\\u2028\\x85\\u202ec é\\xff\n"


def test_json_has_the_line_as_a_field() -> None:
    stream = io.StringIO()
    with writing_logs("json", stream):
        FormattedAccessLog("{{Method}}").request(make_context(), 200, 0, 0.0)
    shown = json.loads(stream.getvalue())
    assert (shown["event"], shown[LINE], shown["level"]) == ("request", "GET", "info")


def test_a_name_is_either_plain_or_takes_an_argument() -> None:
    assert not NAMES.plain.keys() & NAMES.with_argument.keys()


def ask(address: Address, request: bytes) -> bytes:
    with socket.create_connection((address.host, address.port), 10) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(4096), b""))


async def test_a_server_writes_its_requests_in_its_own_format(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "easews.access")
    text = "{{Method}} {{URI}} {{StatusCode}} {{ReqSize}} {{RespSize}} {{Label.user}}"
    request = b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    async with gateway(CONFIG % text, Echo) as running:
        answer = await to_thread.run_sync(ask, running.address, request)
        await to_thread.run_sync(ask, running.address, b"nonsense\r\n\r\n")

    assert answer.endswith(b"abcabc")
    first, second = (vars(record)[FIELDS][LINE] for record in caplog.records)
    assert first == "POST /a 200 3 6 ada"
    assert re.fullmatch(r"- - 400 0 \d+ ", second)


def test_an_unknown_name_is_a_fault_of_the_config() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(CONFIG % "{{Methot}}", Echo)
    (problem,) = caught.value.problems
    assert (problem.path, problem.wrong) == ("server.accessLogFormat", "there is no {{Methot}}")
    assert problem.accepted == "did you mean 'Method'?"


def test_a_format_from_a_variable_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(CONFIG % "{{${FORMAT}}}", Echo, environ={"FORMAT": "secret"})
    assert "secret" not in str(caught.value)


def test_listeners_hear_of_a_request_in_any_format() -> None:
    heard: list[tuple[Context, int, float]] = []
    ctx = make_context()
    log = FormattedAccessLog("{{Method}}", [lambda *news: heard.append(news)])
    log.request(ctx, 200, 12, 0.5)
    assert heard == [(ctx, 200, 0.5)]
