"""RequestAdaptor and ResponseAdaptor, by themselves and in a gateway."""

from __future__ import annotations

from typing import Any

import pytest
from tests.headers.asking import ask

from easews import ConfigError, Context, Filter, Headers, Response, Upgrade
from easews.testing import gateway, make_context, make_filter
from easews_headers.requestadaptor import RequestAdaptor
from easews_headers.responseadaptor import ResponseAdaptor


async def adapted(target: str = "/a?x=1", /, *fields: tuple[str, str], **spec: Any) -> Context:
    ctx = make_context(target, fields)
    await make_filter(RequestAdaptor, **spec).handle(ctx)
    return ctx


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ({"replace": "/b"}, "/b?x=/api/7"),
        ({"addPrefix": "/v$1"}, "/v$1/api/7%20?x=/api/7"),
        ({"trimPrefix": "/api"}, "/7%20?x=/api/7"),
        ({"trimPrefix": "/other"}, "/api/7%20?x=/api/7"),
        ({"regexpReplace": {"regexp": "^/api/(.)", "replace": "/$1/$1"}}, "/7/7%20?x=/api/7"),
        ({}, "/api/7%20?x=/api/7"),
    ],
)
async def test_the_path_is_adapted_and_the_query_stays(path: dict[str, Any], target: str) -> None:
    assert (await adapted("/api/7%20?x=/api/7", path=path)).request.target == target


async def test_a_path_that_is_ambiguous_after_it_is_refused() -> None:
    ctx = await adapted("/files../x", path={"regexpReplace": {"regexp": "files", "replace": "a/"}})
    assert isinstance(ctx.response, Response)
    assert ctx.response.status == 400
    assert ctx.request.target == "/files../x"


async def test_method_host_and_headers_are_adapted() -> None:
    header = {"set": {"X-To": "{{Method}} {{Host}}{{URI}}"}, "del": ["X-Secret"]}
    ctx = await adapted(
        "/a?x=b.internal",
        ("X_Secret", "1"),
        host="{{Query.x}}",
        method="PUT",
        path={"replace": "/new"},
        header=header,
    )
    assert ctx.request.method == "PUT"
    assert [*ctx.request.headers] == [
        ("X-To", "GET gateway.example/a?x=b.internal"),
        ("Host", "b.internal"),
    ]


async def test_the_log_keeps_the_fields_that_the_client_has_sent() -> None:
    ctx = make_context()
    before = ctx.request.headers
    await make_filter(RequestAdaptor, host="other").handle(ctx)
    assert (before.get("host"), ctx.request.host) == ("gateway.example", "other")


async def test_a_host_that_is_missing_is_no_change() -> None:
    assert (await adapted(host="{{Query.none}}")).request.host == "gateway.example"


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"path": {"replace": "/a", "addPrefix": "/b"}}, "path"),
        ({"path": {"replace": "a"}}, "path.replace"),
        ({"path": {"replace": "/../a"}}, "path.replace"),
        ({"path": {"regexpReplace": {"regexp": "("}}}, "path.regexpReplace"),
        ({"header": {"set": {"Connection": "x"}}}, "header.set.Connection"),
        ({"header": {"set": {"X": "{{Methot}}"}}}, "header.set.X"),
        ({"host": "{{Methot}}"}, "host"),
        ({"method": "get"}, "method"),
        ({"body": "x"}, "body"),
    ],
)
def test_a_wrong_field_is_reported_at_its_place(spec: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_filter(RequestAdaptor, **spec)
    assert f".{place}" in caught.value.problems[0].path


@pytest.mark.parametrize("answer", [Response(200), Response(503), None])
async def test_every_answer_gets_its_headers(answer: Response | None) -> None:
    ctx = make_context()
    header = {"set": {"X-Id": "{{RequestID}}"}, "del": ["Server"]}
    adaptor = make_filter(ResponseAdaptor, header=header)

    await adaptor.handle(ctx)
    ctx.response = answer
    await adaptor.on_answer(ctx)

    assert answer is None or [*answer.headers] == [("X-Id", "test")]


async def test_the_answer_that_opens_a_session_gets_them_too() -> None:
    ctx = make_context()
    upgrade = Upgrade(Headers(), "websocket", "b", lambda connection: None, lambda: None)
    ctx.response = upgrade
    await make_filter(ResponseAdaptor, header={"add": {"X": "1"}}).on_answer(ctx)
    assert [*upgrade.headers] == [("X", "1")]


@pytest.mark.parametrize("name", ["Sec-WebSocket-Extensions", "sec-websocket-protocol"])
def test_what_both_ends_have_agreed_on_is_not_to_be_changed(name: str) -> None:
    with pytest.raises(ConfigError, match="have to agree"):
        make_filter(ResponseAdaptor, header={"del": [name]})
    make_filter(RequestAdaptor, header={"del": [name]})  # nothing is agreed on yet


class Answers(Filter):
    """Answers, and fails for /fails."""

    kind = "Answers"
    results = ("failed",)

    async def handle(self, ctx: Context) -> str | None:
        ctx.response = Response(200, [("Server", "b"), ("X-Host", ctx.request.host)])
        return "failed" if ctx.request.path == "/fails" else None


FLOW = """
kind: HTTPServer
name: server
port: 80
rules: [{paths: [{backend: p}]}]
---
kind: Pipeline
name: p
flow: [%s]
filters:
- {kind: Answers, name: answers}
- kind: ResponseAdaptor
  name: adaptor
  header: {add: {X-Added: "1"}, del: [Server]}
"""


@pytest.mark.parametrize(
    ("flow", "target", "added"),
    [
        ("{filter: adaptor}, {filter: answers}", "/", ["1"]),
        ("{filter: answers}, {filter: adaptor}", "/", ["1"]),
        ("{filter: adaptor}, {filter: answers}, {filter: adaptor, alias: again}", "/", ["1"]),
        ("{filter: adaptor}, {filter: answers}", "/fails", ["1"]),
        ("{filter: answers}, {filter: adaptor}", "/fails", []),
    ],
)
async def test_an_answer_is_adapted_once_wherever_the_adaptor_stands(
    flow: str, target: str, added: list[str]
) -> None:
    async with gateway(FLOW % flow, Answers) as running:
        answer = await ask(running.address, target)
    assert answer.headers.get_all("x-added") == added
    assert ("server" in answer.headers) is not bool(added)
