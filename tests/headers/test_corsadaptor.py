"""CORSAdaptor: preflights, answers that pages may see, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.headers.asking import Answer, ask

from easews import ConfigError, Context, Filter, Headers, Response, Upgrade
from easews.testing import gateway, make_context, make_filter
from easews_headers.corsadaptor import CORSAdaptor

PAGE = "https://app.example.org"
WISHES = "Access-Control-Request-"
SITES = {"allowedOrigins": ["https://*.example.org", "localhost:3000"]}


def preflight(
    origin: str = PAGE, method: str = "GET", headers: str = "", path: str = "/"
) -> Context:
    fields = [("Origin", origin), (f"{WISHES}Method", method)]
    fields += [(f"{WISHES}Headers", headers)] if headers else []
    return make_context(path, fields, method="OPTIONS")


async def answered(ctx: Context, /, **spec: Any) -> tuple[str | None, Response]:
    """The result for `ctx`, and the answer: a backend's, if there is none of the filter's."""
    cors = make_filter(CORSAdaptor, **spec)
    result = await cors.handle(ctx)
    if ctx.response is None:
        own = [("Access-Control-Allow-Origin", "own"), ("Vary", "Accept")]
        ctx.response = Response(200, own)
    await cors.on_answer(ctx)
    assert isinstance(ctx.response, Response)
    return result, ctx.response


async def test_by_default_every_page_may_use_simple_methods() -> None:
    result, answer = await answered(preflight(method="POST", headers="content-type"))
    assert (result, answer.status) == ("preflighted", 204)
    assert dict(answer.headers) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, HEAD, POST",
        "Access-Control-Allow-Headers": "content-type",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }


async def test_a_preflight_that_asks_for_no_header_is_told_of_none() -> None:
    result, answer = await answered(preflight(), **SITES)
    assert (result, answer.status) == ("preflighted", 204)
    assert "access-control-allow-headers" not in answer.headers
    assert answer.headers.get("access-control-allow-methods") == "GET, HEAD, POST"


async def test_a_preflight_from_an_allowed_page_is_answered_with_all_that_is_allowed() -> None:
    spec = {"allowedMethods": ["PUT"], "allowedHeaders": ["X-A"], "maxAge": 600, **SITES}
    result, answer = await answered(
        preflight(method="PUT", headers="X-A"), allowCredentials=True, **spec
    )
    assert result == "preflighted"
    assert dict(answer.headers) == {
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "PUT",
        "Access-Control-Allow-Headers": "x-a",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }


async def test_a_star_allows_every_method_and_header() -> None:
    ctx = preflight(method="PURGE", headers="X-A, X-B")
    result, answer = await answered(ctx, allowedMethods=["*"], allowedHeaders=["*"])
    assert result == "preflighted"
    assert answer.headers.get("access-control-allow-methods") == "PURGE"
    assert answer.headers.get("access-control-allow-headers") == "x-a, x-b"


@pytest.mark.parametrize(
    ("ctx", "why"),
    [
        (preflight("https://evil.example"), "pages of https://evil.example"),
        (preflight("http://app.example.org"), "pages of http://app.example.org"),
        (preflight("null"), "pages of null"),
        (preflight("app.example.org"), "pages of app.example.org"),
        (preflight(method="DELETE"), "may not use DELETE"),
        (preflight(headers="Content-Type, X-Secret, X-B"), "may not set x-secret, x-b"),
    ],
)
async def test_a_preflight_that_asks_for_more_is_rejected(ctx: Context, why: str) -> None:
    result, answer = await answered(ctx, **SITES)
    assert (result, answer.status) == ("rejected", 403)
    assert why in answer.reason
    assert "access-control-allow-origin" not in answer.headers
    assert "Origin" in answer.headers.elements("vary")


@pytest.mark.parametrize("origin", [PAGE, "https://evil.example"])
async def test_without_support_for_requests_they_are_left_to_the_backend(origin: str) -> None:
    result, answer = await answered(make_context("/", [("Origin", origin)]), **SITES)
    assert result is None
    assert [*answer.headers] == [("Access-Control-Allow-Origin", "own"), ("Vary", "Accept")]


async def test_an_allowed_page_may_see_the_answer() -> None:
    spec = {"supportCORSRequest": True, "exposedHeaders": ["X-A", "X-B"], **SITES}
    ctx = make_context("/", [("Origin", PAGE)])
    result, answer = await answered(ctx, allowCredentials=True, **spec)
    assert result is None
    assert [*answer.headers] == [
        ("Vary", "Accept"),
        ("Vary", "Origin"),
        ("Access-Control-Allow-Origin", PAGE),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "X-A, X-B"),
    ]


async def test_an_open_server_lets_every_page_see_its_answers() -> None:
    ctx = make_context("/", [("Origin", "null")])
    _, answer = await answered(ctx, supportCORSRequest=True)
    assert answer.headers.get_all("access-control-allow-origin") == ["*"]
    assert "access-control-expose-headers" not in answer.headers


async def test_a_foreign_page_is_rejected() -> None:
    ctx = make_context("/", [("Origin", "https://evil.example")])
    result, answer = await answered(ctx, supportCORSRequest=True, **SITES)
    assert (result, answer.status) == ("rejected", 403)


async def test_two_origins_are_none() -> None:
    ctx = make_context("/", [("Origin", PAGE), ("Origin", PAGE)])
    result, _ = await answered(ctx, supportCORSRequest=True, **SITES)
    assert result == "rejected"


async def test_the_servers_own_pages_need_no_permission() -> None:
    ctx = make_context("/", [("Origin", "https://gateway.example")], method="POST")
    result, answer = await answered(ctx, supportCORSRequest=True, **SITES)
    assert (result, answer.status) == (None, 200)
    assert answer.headers.get("access-control-allow-origin") == "own"


async def test_caches_keep_answers_without_origin_apart() -> None:
    _, answer = await answered(make_context(), supportCORSRequest=True, **SITES)
    assert answer.headers.elements("vary") == ["Accept", "Origin"]


@pytest.mark.parametrize(
    ("there", "then"), [("*", ["*"]), ("origin", ["origin"]), ("A", ["A", "Origin"])]
)
async def test_vary_is_added_where_it_is_missing(there: str, then: list[str]) -> None:
    cors = make_filter(CORSAdaptor, supportCORSRequest=True)
    ctx = make_context()
    ctx.response = Response(200, [("Vary", there)])
    await cors.on_answer(ctx)
    assert ctx.response.headers.elements("vary") == then


async def test_websockets_are_left_to_their_proxy() -> None:
    fields = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Origin", "https://evil.example"),
    ]
    ctx = make_context("/", fields)
    cors = make_filter(CORSAdaptor, supportCORSRequest=True, **SITES)
    assert await cors.handle(ctx) is None
    ctx.response = upgrade = Upgrade(Headers(), "websocket", "b", lambda it: None, lambda: None)
    await cors.on_answer(ctx)
    assert not len(upgrade.headers)


@pytest.mark.parametrize("pattern", ["*", "https://*", "h*://*", "?*"])
def test_credentials_are_never_for_everybody(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_filter(CORSAdaptor, allowCredentials=True, allowedOrigins=[PAGE, pattern])
    (problem,) = caught.value.problems
    assert problem.path.endswith("allowedOrigins[1]")
    assert "every site could act as the user" in problem.wrong


def test_credentials_need_a_list_of_sites() -> None:
    with pytest.raises(ConfigError, match="every site could act as the user"):
        make_filter(CORSAdaptor, allowCredentials=True)


@pytest.mark.parametrize("pattern", ["https://a.example/", "https://é.example"])
def test_a_pattern_that_never_matches_is_a_fault(pattern: str) -> None:
    with pytest.raises(ConfigError, match="never matches"):
        make_filter(CORSAdaptor, allowedOrigins=[pattern])


class Backend(Filter):
    """Answers with the method."""

    kind = "Backend"

    async def handle(self, ctx: Context) -> None:
        ctx.response = Response(200, [], ctx.request.method)


CONFIG = """
kind: HTTPServer
name: server
port: 80
rules: [{paths: [{path: /ws, backend: ws, clientMaxBodySize: -1}, {backend: p}]}]
---
kind: Pipeline
name: p
filters:
- {kind: CORSAdaptor, name: cors, allowedOrigins: [app.example.org], supportCORSRequest: true}
- {kind: Backend, name: backend}
---
kind: Pipeline
name: ws
filters:
- {kind: CORSAdaptor, name: cors, allowedOrigins: [app.example.org]}
- {kind: WebSocketProxy, name: proxy, pools: [{servers: [{url: "ws://127.0.0.1:9"}]}]}
"""


def as_browser_sees(answer: Answer, origin: str) -> bool:
    """Whether a browser would show the answer to a page (Fetch §4.9, CORS check)."""
    return answer.headers.get("access-control-allow-origin") in ("*", origin)


async def test_a_browser_asks_first_and_then_sends_its_request() -> None:
    wishes = [("Origin", PAGE), (f"{WISHES}Method", "POST"), (f"{WISHES}Headers", "content-type")]
    async with gateway(CONFIG, Backend) as running:
        for path in ("/", "/ws"):
            first = await ask(running.address, path, wishes, method="OPTIONS")
            assert (first.status, first.body) == (204, b"")
            assert as_browser_sees(first, PAGE)
            assert "POST" in first.headers.elements("access-control-allow-methods")
        second = await ask(running.address, "/", [("Origin", PAGE)], method="POST")
        foreign = await ask(running.address, "/", [("Origin", "https://evil.example")])
    assert (second.status, second.body) == (200, b"POST")
    assert as_browser_sees(second, PAGE)
    assert foreign.status == 403
    assert not as_browser_sees(foreign, "https://evil.example")


async def test_options_that_are_no_preflight_reach_the_backend() -> None:
    async with gateway(CONFIG, Backend) as running:
        answer = await ask(running.address, "/", [("Origin", PAGE)], method="OPTIONS")
    assert (answer.status, answer.body) == (200, b"OPTIONS")
