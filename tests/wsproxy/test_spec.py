"""The config of a WebSocketProxy: its defaults, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import pytest

from easews.config.phrases import accepted_by
from easews.filters import schema_of
from easews.schema import check_schema, complete, errors
from easews_wsproxy.proxy import WebSocketProxy
from easews_wsproxy.relay.rates import Rate
from easews_wsproxy.settings import PoolSettings
from easews_wsproxy.spec import spec_faults

SCHEMA = schema_of(WebSocketProxy)
A, B = {"url": "ws://a.example"}, {"url": "ws://b.example"}


def spec(*servers: Mapping[str, Any], **pool: Any) -> dict[str, Any]:
    return {"pools": [{"servers": [*servers] or [A], **pool}]}


def test_the_schema_is_one() -> None:
    check_schema(SCHEMA)


def test_the_origin_null_is_shown_in_the_quotes_that_yaml_wants() -> None:
    assert accepted_by(SCHEMA["properties"]["defaultOrigin"]).endswith('.org, "null")')


def test_the_design_notes_config_gets_the_defaults() -> None:
    written = {"defaultOrigin": "http://127.0.0.1/hello", **spec({"url": "ws://127.0.0.1:12345"})}
    assert not [*errors(SCHEMA, written)]

    pool = complete(SCHEMA, written)["pools"][0]

    assert pool == {
        "servers": [{"url": "ws://127.0.0.1:12345", "keepHost": False}],
        "loadBalance": {"slowStart": 0.0},
        "ejection": {
            "failures": 3,
            "for": 10.0,
            "maxFor": 300.0,
            "maxShare": 50,
            "on": ["connect"],
        },
        "panicBelow": 0,
        "clientMaxMsgSize": -1,
        "serverMaxMsgSize": -1,
        "originPatterns": [],
        "insecureSkipVerify": False,
        "setUpstreamHost": False,
        "resolve": "dial",
        "timeouts": {
            "connect": 5.0,
            "tls": 5.0,
            "handshake": 10.0,
            "close": 5.0,
            "slowReader": 60.0,
            "idle": 0.0,
            "maxAge": 0.0,
        },
        "keepAlive": {"interval": 30.0, "timeout": 20.0},
        "backendLostCode": 1011,
    }


@pytest.mark.parametrize(
    ("limit", "rate"),
    [
        ({"messages": 50}, Rate(50, inf)),
        ({"bytes": "1KiB", "over": "close"}, Rate(inf, 1024, close=True)),
        ({"messages": 5, "bytes": 7, "over": "pause"}, Rate(5, 7)),
    ],
)
def test_how_much_clients_may_send_is_known_to_the_sessions_of_a_pool(
    limit: Mapping[str, Any], rate: Rate
) -> None:
    written = spec(clientRateLimit=limit)
    assert not [*errors(SCHEMA, written)]
    (pool,) = complete(SCHEMA, written)["pools"]
    assert PoolSettings.from_spec(pool).limits.client_rate == rate
    del pool["clientRateLimit"]
    assert PoolSettings.from_spec(pool).limits.client_rate is None


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (["pools", 0, "loadBalance", "policy"], spec(loadBalance={"policy": "forward"})),
        (["pools", 0, "loadBalance", "healthCheck"], spec(loadBalance={"healthCheck": {}})),
    ],
)
def test_what_is_not_built_yet_is_refused_and_says_so(
    path: list[str | int], written: Mapping[str, Any]
) -> None:
    (error,) = errors(SCHEMA, written)

    assert list(error.path) == path
    assert isinstance(error.schema, Mapping)
    assert error.schema["description"].startswith("Not supported yet: ")


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"pools": []},
        {"pools": [{}]},
        {"pools": [{"servers": []}]},
        spec({"url": "ftp://a.example"}),
        spec({"url": "ws://"}),
        spec({**A, "weight": -1}),
        spec({**A, "wieght": 1}),
        spec(backendLostCode=1012),
        spec(loadBalance={"policy": "fastest"}),
        spec(timeouts={"connect": 5}),
        spec(timeouts={"close": "0s"}),
        spec(clientMaxMsgSize="1MB"),
        {**spec(), "defaultOrigin": "http://a\r\nX: y"},
        {**spec(), "defaultOrigin": "www.example.org"},
        {**spec(), "defaultOrigin": "file:///tmp/page.html"},
        {**spec(), "defaultOrigin": ""},
    ],
)
def test_what_makes_no_sense_is_refused(written: Mapping[str, Any]) -> None:
    assert [*errors(SCHEMA, written)]


@pytest.mark.parametrize(
    "written",
    [
        spec(A, B),
        spec({**A, "maxConnections": 3}, {**B, "maxConnections": 1}, queue={}),
        spec(A, maxConnections=1, queue={"size": 1}, retries={"on": ["connect", 503]}),
        spec({**A, "weight": 1}, {**B, "weight": 0}),
        spec({"url": "ws://a.example/base/"}),
        spec(originPatterns=["*.example.org", "localhost:*", "[::1]:3000", "null", "*:80??"]),
        spec(originPatterns=["https://a.example", "*://[::1]:*", "HTTPS://*.xn--caf-dma.example"]),
        spec(originPatterns=["file://", "chrome-extension://*", "capacitor://localhost", "*://"]),
    ],
)
def test_a_spec_that_agrees_with_itself_has_no_faults(written: Mapping[str, Any]) -> None:
    assert not [*errors(SCHEMA, written)]
    assert not [*spec_faults(complete(SCHEMA, written))]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("queue",), spec({**A, "maxConnections": 3}, B, queue={})),
        (("retries", "perTry"), spec(A, retries={"perTry": "2s", "deadline": "1s"})),
        (("loadBalance", "policy"), spec(A, loadBalance={"policy": "headerHash"})),
        (("servers", 1), spec({**A, "weight": 1}, B)),
        (("servers",), spec({**A, "weight": 0}, {**B, "weight": 0})),
        (("servers", 0, "url"), spec({"url": "ws://a.example/?token=secret"})),
        (("serverTags",), spec(A, {**B, "tags": ["blue"]}, serverTags=["bleu"])),
        (("serverTags",), spec(A, serverTags=["blue"])),
        (
            ("serverTags",),
            spec({**A, "weight": 1}, {**B, "tags": ["blue"], "weight": 0}, serverTags=["blue"]),
        ),
        (("servers", 0, "keepHost"), spec({**A, "keepHost": True}, setUpstreamHost=True)),
        (("originPatterns", 1), spec(originPatterns=["null", "https://a.example/"])),
        *(
            (("originPatterns", 0), spec(originPatterns=[pattern]))
            for pattern in [
                *("café.example", "*.例.jp", "a.example/b", "/", "u@a.example", "a.example:http"),
                *(
                    "https://",
                    "ws://",
                    "://a.example",
                    "[abc].example",
                    "a b",
                    "a.example,b.example",
                ),
            ]
        ),
    ],
)
def test_fields_that_cannot_be_meant_so_are_faults(
    path: tuple[str | int, ...], written: Mapping[str, Any]
) -> None:
    (fault,) = spec_faults(complete(SCHEMA, written))

    assert fault.path == ("pools", 0, *path)
    assert fault.accepted
    assert "secret" not in fault.wrong + fault.accepted


def test_of_several_pools_one_has_no_filter() -> None:
    share = {"filter": {"permil": 50, "policy": "ipHash"}}
    main, canary = {"servers": [A]}, {"servers": [B], **share}
    assert not [*errors(SCHEMA, {"pools": [main, canary]})]
    assert not [*spec_faults(complete(SCHEMA, {"pools": [main, canary]}))]
    (fault,) = spec_faults(complete(SCHEMA, {"pools": [canary, canary]}))
    assert fault.path == ("pools",)
