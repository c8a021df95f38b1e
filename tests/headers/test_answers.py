"""Mock and Fallback: answers that a config has in full."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from tests.headers.asking import ask

from easews import ConfigError, Context, Response
from easews.testing import gateway, make_context, make_filter
from easews_headers.fallback import Fallback
from easews_headers.mock import Mock

EXAMPLE = (Path(__file__).parents[2] / "examples" / "answers.yaml").read_text("utf-8")


async def mocked(ctx: Context, /, match: dict[str, Any] | None = None, **answer: Any) -> bool:
    """Whether a rule answers."""
    rule = {"code": 200, **answer} | ({} if match is None else {"match": match})
    result = await make_filter(Mock, rules=[rule]).handle(ctx)
    assert (result == "mocked") is isinstance(ctx.response, Response)
    return result == "mocked"


@pytest.mark.parametrize(
    ("match", "takes"),
    [
        (None, True),
        ({}, True),
        ({"path": "/api/a b"}, True),
        ({"path": "/api"}, False),
        ({"pathPrefix": "/api/a "}, True),
        ({"pathPrefix": "/b"}, False),
        ({"path": "/b", "pathPrefix": "/api"}, True),
        ({"path": "/api/a b", "pathPrefix": "/c"}, True),
        ({"headers": {"x-one": {"exact": "1"}}}, True),
        ({"headers": {"X-One": {"exact": "2"}}}, False),
        ({"headers": {"X-Two": {"exact": "b"}}}, True),
        ({"headers": {"X-Two": {"prefix": "a"}}}, True),
        ({"headers": {"X-Two": {"regex": "^[b-z]$"}}}, True),
        ({"headers": {"X-Two": {"regex": "^[c-z]$", "prefix": "c"}}}, False),
        ({"headers": {"X-Bytes": {"exact": "é"}}}, True),
        ({"headers": {"X-None": {"empty": True}}}, True),
        ({"headers": {"X-One": {"empty": True}}}, False),
        ({"headers": {"X-None": {"exact": "1"}}}, False),
        ({"headers": {"X-One": {"exact": "1"}, "X-Two": {"exact": "c"}}}, True),
        (
            {
                "headers": {"X-One": {"exact": "1"}, "X-Two": {"exact": "c"}},
                "matchAllHeaders": True,
            },
            False,
        ),
        ({"path": "/b", "headers": {"X-One": {"exact": "1"}}}, False),
    ],
)
async def test_a_rule_takes_requests_by_path_and_headers(
    match: dict[str, Any] | None, takes: bool
) -> None:
    fields = [("X-One", "1"), ("X-Two", "a"), ("X-Two", "b"), ("X-Bytes", "\xc3\xa9")]
    assert await mocked(make_context("/api/a%20b?x", fields), match) is takes


async def test_the_first_rule_that_matches_answers() -> None:
    rules = [{"match": {"path": "/b"}, "code": 500}, {"code": 201}, {"code": 202}]
    ctx = make_context("/a")
    await make_filter(Mock, rules=rules).handle(ctx)
    assert isinstance(ctx.response, Response)
    assert ctx.response.status == 201


async def body_of(response: Response) -> bytes:
    return b"".join([piece async for piece in response.body])


async def test_an_answer_has_its_headers_and_body() -> None:
    ctx = make_context()
    headers = {"Content-Type": "application/json", "X-Id": "{{RequestID}}"}
    assert await mocked(ctx, headers=headers, body='{"é": 1}')
    assert isinstance(ctx.response, Response)
    assert dict(ctx.response.headers) == {"Content-Type": "application/json", "X-Id": "test"}
    assert await body_of(ctx.response) == '{"é": 1}'.encode()


@pytest.mark.parametrize(("body", "types"), [("x", ["text/plain; charset=utf-8"]), ("", [])])
async def test_a_body_is_plain_text_unless_told(body: str, types: list[str]) -> None:
    ctx = make_context()
    assert await mocked(ctx, body=body)
    assert isinstance(ctx.response, Response)
    assert ctx.response.headers.get_all("content-type") == types


async def test_an_answer_may_be_held_back() -> None:
    began = monotonic()
    assert await mocked(make_context(), delay="50ms")
    assert monotonic() - began > 0.04  # the clock of uvloop counts milliseconds


async def test_a_fallback_takes_the_place_of_an_answer_and_keeps_its_reason() -> None:
    ctx = make_context()
    failed: list[int] = []
    ctx.response = Response(502, reason="no server", on_close=lambda: failed.append(1))
    fallback = make_filter(Fallback, mockCode=200, mockHeaders={"X": "1"}, mockBody="sorry")

    assert await fallback.handle(ctx) == "fallback"

    assert isinstance(ctx.response, Response)
    assert (ctx.response.status, ctx.response.reason) == (200, "no server")
    assert ctx.response.headers.get("x") == "1"
    assert await body_of(ctx.response) == b"sorry"
    assert len(ctx.replaced) == 1  # the engine closes it


async def test_a_fallback_answers_where_nobody_has() -> None:
    ctx = make_context()
    assert await make_filter(Fallback, mockCode=404).handle(ctx) == "fallback"
    assert isinstance(ctx.response, Response)
    assert (ctx.response.status, ctx.response.reason) == (404, "")


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"rules": []}, "rules"),
        ({"rules": [{"code": 101}]}, "rules[0].code"),
        ({"rules": [{"code": 204, "body": "x"}]}, "rules[0].body"),
        ({"rules": [{"code": 200, "headers": {"Content-Length": "1"}}]}, "headers.Content-Length"),
        ({"rules": [{"code": 200, "headers": {"X": "{{Methot}}"}}]}, "rules[0].headers.X"),
        ({"rules": [{"code": 200, "match": {"headers": {"X": {"regex": "("}}}}]}, "X.regex"),
        ({"rules": [{"code": 200, "match": {"headers": {"X": {}}}}]}, "match.headers.X"),
        ({"rules": [{"code": 200, "match": {"path": "a"}}]}, "match.path"),
    ],
)
def test_a_wrong_rule_is_reported_at_its_place(spec: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_filter(Mock, **spec)
    assert caught.value.problems[0].path.endswith(place)


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"mockCode": 304, "mockBody": "x"}, "mockBody"),
        ({"mockCode": 200, "mockHeaders": {"Upgrade": "x"}}, "mockHeaders.Upgrade"),
    ],
)
def test_a_wrong_fallback_is_reported_at_its_place(spec: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_filter(Fallback, **spec)
    assert caught.value.problems[0].path.endswith(place)


async def test_the_example_answers_without_a_backend() -> None:
    handshake = [
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
    ]
    async with gateway(EXAMPLE.replace("12345", "9")) as running:
        health = await ask(running.address, "/healthz")
        robots = await ask(running.address, "/robots.txt")
        page = await ask(running.address, "/")
        session = await ask(running.address, "/ws", handshake, connection="Upgrade")
    assert (health.status, health.body) == (200, b"ok")
    assert health.headers.get("x-request-id")
    assert robots.body == b"User-agent: *\nDisallow: /\n"
    for sorry in (page, session):
        assert (sorry.status, sorry.headers.get("retry-after")) == (503, "60")
        assert sorry.body == b"<h1>We are back in a minute.</h1>"
