"""Redirector: where clients are sent, and which requests go on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.headers.asking import ask

from easews import ConfigError, Context, Headers, Request, Response
from easews.testing import gateway, make_context, make_filter
from easews_headers.redirector import Redirector


async def location(ctx: Context, /, **spec: Any) -> str | None:
    """Where the client is sent; None when its request goes on."""
    assert await make_filter(Redirector, **spec).handle(ctx) is None
    if ctx.response is None:
        return None
    assert isinstance(ctx.response, Response)
    return ctx.response.headers.get("location")


@pytest.mark.parametrize(
    ("part", "match", "replacement", "result"),
    [
        ("uri", "^/old/(.*)$", "/new/$1", "/new/a%20b?x=1"),
        ("path", "^/old/(.*)$", "/new/$1", "/new/a%20b"),
        ("full", "^http://[^/]+", "https://b.example", "https://b.example/old/a%20b?x=1"),
        ("full", "^http://([^/:]+)", "https://www.$1", "https://www.gateway.example/old/a%20b?x=1"),
        ("uri", "^", "https://b.example", "https://b.example/old/a%20b?x=1"),
        ("uri", "^/other", "/new", None),
        ("uri", "x=1", "x=1", None),
        ("full", "^http://gateway.example", "", None),
    ],
)
async def test_the_part_that_matches_is_replaced(
    part: str, match: str, replacement: str, result: str | None
) -> None:
    ctx = make_context("/old/a%20b?x=1")
    spec = {"matchPart": part, "match": match, "replacement": replacement}
    assert await location(ctx, **spec) == result


@pytest.mark.parametrize("target", ["//evil.example/", "/\\evil.example/", "/%2F//evil.example/"])
async def test_a_client_cannot_choose_the_host(target: str) -> None:
    found = await location(make_context(target), match="^(.*)/$", replacement="$1")
    assert found is not None
    assert not found.startswith(("//", "/\\"))


async def test_a_host_of_the_config_may_be_written_without_scheme() -> None:
    found = await location(make_context("/a"), match="^", replacement="//b.example")
    assert found == "//b.example/a"


async def test_http_leads_to_https() -> None:
    ctx = make_context("/a?x=1")
    ctx.request.headers.set("Host", "a.example:8080")
    assert await location(ctx, https=True) == "https://a.example/a?x=1"


async def test_https_may_be_on_another_port() -> None:
    ctx = make_context()
    ctx.request.headers.set("Host", "[::1]:8080")
    assert await location(ctx, https=True, httpsPort=8443) == "https://[::1]:8443/"


async def test_https_goes_on() -> None:
    headers = Headers([("Host", "a")])
    assert await location(Context(Request("GET", "/", headers, scheme="https")), https=True) is None


async def test_behind_a_tls_terminator_there_is_no_loop() -> None:
    headers = Headers([("Host", "a"), ("X-Forwarded-Proto", "https")])
    request = Request("GET", "/", headers, vouched=["x-forwarded-proto"])
    assert await location(Context(request), https=True) is None


async def test_without_a_host_there_is_nowhere_to_go() -> None:
    assert await location(Context(Request("GET", "/", version="1.0")), https=True) is None


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({}, ""),
        ({"match": "a"}, ""),
        ({"replacement": "a"}, ""),
        ({"https": True, "match": "a"}, ".match"),
        ({"match": "(", "replacement": ""}, ".match"),
        ({"match": "a", "replacement": "a b"}, ".replacement"),
        ({"match": "a", "replacement": "b", "statusCode": 200}, ".statusCode"),
        ({"match": "a", "replacement": "b", "matchPart": "host"}, ".matchPart"),
    ],
)
def test_a_wrong_field_is_reported_at_its_place(spec: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_filter(Redirector, **spec)
    assert caught.value.problems[0].path.endswith(f"filters[0]{place}")


CONFIG = """
kind: HTTPServer
name: server
port: 80
rules: [{paths: [{backend: p}]}]
---
kind: Pipeline
name: p
flow:
- {filter: old, jumpIf: {mismatch: https}}
- {filter: https}
filters:
- {kind: Redirector, name: old, match: ^/old, replacement: /new, statusCode: 302}
- {kind: Redirector, name: https, https: true, statusCode: 308}
"""


async def test_what_does_not_match_may_jump_to_another_filter() -> None:
    async with gateway(CONFIG) as running:
        old = await ask(running.address, "/old?a=1")
        other = await ask(running.address, "/other", method="POST")
    assert (old.status, old.headers.get("location")) == (302, "/new?a=1")
    assert (other.status, other.headers.get("location")) == (308, "https://gateway.example/other")
    assert other.body == b"https://gateway.example/other\n"
