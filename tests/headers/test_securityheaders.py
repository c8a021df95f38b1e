"""SecurityHeaders: what is added, when, and what of the backend's stays."""

from __future__ import annotations

from typing import Any

import pytest

from easews import ConfigError, Context, Headers, Request, Response, Upgrade
from easews.testing import make_context, make_filter
from easews_headers.securityheaders import SecurityHeaders
from easews_headers.xforwarded import XForwarded

DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'",
}


async def answered(
    *fields: tuple[str, str], ctx: Context | None = None, **spec: Any
) -> list[tuple[str, str]]:
    ctx = ctx or make_context()
    ctx.response = Response(200, fields)
    secure = make_filter(SecurityHeaders, **spec)
    await secure.handle(ctx)
    await secure.on_answer(ctx)
    return [*ctx.response.headers]


def over_tls(vouched: bool) -> Context:
    if not vouched:
        return Context(Request("GET", "/", scheme="https"))
    headers = Headers([("X-Forwarded-Proto", "https")])
    return Context(Request("GET", "/", headers, vouched=["x-forwarded-proto"]))


async def test_defaults_are_safe_for_every_page() -> None:
    assert dict(await answered()) == DEFAULTS


@pytest.mark.parametrize("vouched", [True, False])
async def test_only_over_tls_browsers_are_told_to_stay_there(vouched: bool) -> None:
    headers = dict(await answered(ctx=over_tls(vouched)))
    assert headers == {**DEFAULTS, "Strict-Transport-Security": "max-age=31536000"}


async def test_an_xforwarded_behind_it_makes_no_difference() -> None:
    ctx = over_tls(True)
    secure, forwarded = make_filter(SecurityHeaders), make_filter(XForwarded, mode="replace")
    await secure.handle(ctx)
    await forwarded.handle(ctx)
    ctx.response = Response(200)
    await secure.on_answer(ctx)
    assert ctx.request.headers.get("x-forwarded-proto") == "http"
    assert "strict-transport-security" in ctx.response.headers


async def test_a_client_cannot_pretend_to_use_tls() -> None:
    ctx = make_context("/", [("X-Forwarded-Proto", "https")])
    assert "Strict-Transport-Security" not in dict(await answered(ctx=ctx))


async def test_what_the_backend_has_set_stays() -> None:
    own = {"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
    headers = await answered(*own.items())
    assert dict(headers) == {**own, "X-Content-Type-Options": "nosniff"}


async def test_a_policy_of_the_backend_holds_besides_ours() -> None:
    headers = await answered(("Content-Security-Policy", "default-src 'self'"))
    assert Headers(headers).get_all("content-security-policy") == [
        "default-src 'self'",
        "frame-ancestors 'self'",
    ]


async def test_a_policy_that_says_who_may_frame_is_enough() -> None:
    own = ("Content-Security-Policy", "frame-ancestors https://a.example")
    headers = await answered(own)
    assert Headers(headers).get_all("content-security-policy") == [own[1]]
    assert "X-Frame-Options" not in dict(headers)


async def test_all_can_be_replaced() -> None:
    own = [("Referrer-Policy", "unsafe-url"), ("X-Frame-Options", "ALLOWALL")]
    assert dict(await answered(*own, replace=True)) == DEFAULTS


@pytest.mark.parametrize(
    ("ancestors", "options"), [("'none'", ["DENY"]), ("https://portal.example", [])]
)
async def test_old_browsers_are_told_what_they_can_know(ancestors: str, options: list[str]) -> None:
    headers = Headers(await answered(frameAncestors=ancestors))
    assert headers.get_all("x-frame-options") == options
    assert headers.get_all("content-security-policy") == [f"frame-ancestors {ancestors}"]


async def test_an_empty_text_leaves_a_header_out() -> None:
    fields = ("strictTransportSecurity", "contentTypeOptions", "frameAncestors", "referrerPolicy")
    headers = await answered(ctx=over_tls(False), **dict.fromkeys(fields, ""))
    assert headers == []


async def test_an_answer_that_opens_a_session_is_left_alone() -> None:
    ctx = make_context()
    ctx.response = upgrade = Upgrade(Headers(), "websocket", "b", lambda it: None, lambda: None)
    await make_filter(SecurityHeaders).on_answer(ctx)
    assert not len(upgrade.headers)


@pytest.mark.parametrize(
    "spec",
    [
        {"strictTransportSecurity": "31536000"},
        {"frameAncestors": "'self'; script-src *"},
        {"permissionsPolicy": "a\nb"},
        {"contentTypeOptions": "sniff"},
    ],
)
def test_a_wrong_value_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make_filter(SecurityHeaders, **spec)
