"""The filter XForwarded: its config, and that it decides once and for the proxy, too."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from easews import Address, Context, Headers, Request, Route
from easews.filters import schema_of
from easews.schema import check_schema, complete, errors
from easews_headers.plugin import easews_filters
from easews_headers.xforwarded import XForwarded

SCHEMA = schema_of(XForwarded)
SERVER = Route(trusted_proxies=(ip_network("10.0.0.0/8"),))
PROXY = Address("10.0.0.1", 40000)


def made(**spec: Any) -> XForwarded:
    return XForwarded("forwarded", complete(SCHEMA, spec))


async def told(*filters: XForwarded, route: Route = SERVER) -> Headers:
    """What the backend is told when the proxy 10.0.0.1 says that it speaks for 203.0.113.5."""
    said = Headers([("Host", "a.example"), ("X-Forwarded-For", "203.0.113.5")])
    request = Request("GET", "/", said, peer=PROXY, local=Address("10.0.0.9", 8080))
    ctx = Context(request, route=route)
    for instance in filters:
        await instance.handle(ctx)
    assert ctx.forwarded
    return ctx.request.headers


def test_the_plugin_brings_this_filter_and_a_valid_schema() -> None:
    assert easews_filters() == [XForwarded]
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


async def test_the_server_says_whom_to_trust() -> None:
    headers = await told(made())
    assert list(headers) == [
        ("Host", "a.example"),
        ("X-Forwarded-For", "203.0.113.5, 10.0.0.1"),
        ("X-Forwarded-Host", "a.example"),
        ("X-Forwarded-Proto", "http"),
    ]


async def test_its_own_list_comes_before_the_servers() -> None:
    assert (await told(made(trusted=[]))).get("x-forwarded-for") == "10.0.0.1"
    headers = await told(made(trusted=["10.0.0.1"]), route=Route())
    assert headers.get("x-forwarded-for") == "203.0.113.5, 10.0.0.1"


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
