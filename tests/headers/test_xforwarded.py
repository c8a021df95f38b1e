"""The filter XForwarded: its config, and that it decides once and for the proxy, too."""

from __future__ import annotations

from typing import Any

import pytest

from easews import Address, Context, Headers, Request
from easews.filters import schema_of
from easews.schema import check_schema, complete, errors
from easews_headers.plugin import easews_filters
from easews_headers.xforwarded import XForwarded

SCHEMA = schema_of(XForwarded)
PROXY = Address("10.0.0.1", 40000)


def made(**spec: Any) -> XForwarded:
    return XForwarded("forwarded", complete(SCHEMA, spec))


async def told(*filters: XForwarded) -> Headers:
    """What the backend is told when the proxy 10.0.0.1 says that it speaks for 203.0.113.5."""
    said = Headers([("Host", "a.example"), ("X-Forwarded-For", "203.0.113.5")])
    local = Address("10.0.0.9", 8080)
    request = Request("GET", "/", said, peer=PROXY, local=local, vouched=["x-forwarded-for"])
    ctx = Context(request)
    for instance in filters:
        await instance.handle(ctx)
    assert ctx.forwarded
    return ctx.request.headers


def test_the_plugin_brings_this_filter_and_a_valid_schema() -> None:
    assert XForwarded in easews_filters()
    check_schema(SCHEMA)


def test_without_fields_it_does_what_the_proxy_does_by_itself() -> None:
    assert complete(SCHEMA, {}) == {
        "mode": "append",
        "headers": ["for", "host", "proto"],
        "forwarded": False,
    }


@pytest.mark.parametrize(
    "spec",
    [
        {"mode": "add"},
        {"headers": ["for", "for"]},
        {"headers": ["server"]},
        {"forwarded": "yes"},
        {"trusted": ["10.0.0.1/8"]},
        {"trustedProxies": []},
    ],
)
def test_a_wrong_field_is_refused(spec: dict[str, Any]) -> None:
    assert len([*errors(SCHEMA, spec)]) == 1


async def test_it_believes_whom_its_server_trusts() -> None:
    headers = await told(made())
    assert list(headers) == [
        ("Host", "a.example"),
        ("X-Forwarded-For", "203.0.113.5, 10.0.0.1"),
        ("X-Forwarded-Host", "a.example"),
        ("X-Forwarded-Proto", "http"),
    ]


@pytest.mark.parametrize(
    ("trusted", "hops"),
    [
        ([], "10.0.0.1"),
        (["10.0.0.2"], "10.0.0.1"),
        (["10.0.0.1"], "203.0.113.5, 10.0.0.1"),
        (["::ffff:10.0.0.0/104"], "203.0.113.5, 10.0.0.1"),
    ],
)
async def test_of_the_servers_proxies_it_believes_those_in_its_own_list(
    trusted: list[str], hops: str
) -> None:
    assert (await told(made(trusted=trusted))).get("x-forwarded-for") == hops


async def test_every_field_reaches_the_policy() -> None:
    headers = await told(made(mode="replace", headers=["for", "port"], forwarded=True))
    assert list(headers) == [
        ("Host", "a.example"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Port", "8080"),
        ("Forwarded", "for=10.0.0.1;host=a.example;proto=http"),
    ]


async def test_a_hop_is_told_once_however_many_of_these_filters_there_are() -> None:
    headers = await told(made(), made(mode="remove"))
    assert headers.get_all("x-forwarded-for") == ["203.0.113.5, 10.0.0.1"]
