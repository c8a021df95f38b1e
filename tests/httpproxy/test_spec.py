"""What a Proxy's config may say."""

from __future__ import annotations

from typing import Any

import pytest

from easews import ConfigError
from easews.filters import schema_of
from easews.schema import check_schema
from easews.testing import make_filter
from easews_httpproxy.plugin import easews_filters
from easews_httpproxy.proxy import Proxy

SERVERS = [{"url": "http://127.0.0.1:9095"}]


def faults(pool: dict[str, Any] | None = None, **fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make_filter(Proxy, pools=[{"servers": SERVERS, **(pool or {})}], **fields)
    (problem,) = caught.value.problems
    return f"{problem.wrong}; {problem.accepted}"


def test_the_plugin_brings_this_filter_and_a_valid_schema() -> None:
    assert easews_filters() == [Proxy]
    check_schema(schema_of(Proxy))


def test_defaults_are_filled_in() -> None:
    spec = make_filter(Proxy, pools=[{"servers": SERVERS}]).spec
    assert spec["pools"][0]["timeouts"] == {"connect": 5, "tls": 5, "response": 60, "idle": 60}
    assert (spec["maxIdleConns"], spec["maxIdleConnsPerHost"]) == (10240, 1024)
    assert (spec["idleConnTimeout"], spec["serverMaxBodySize"]) == (60, -1)


@pytest.mark.parametrize(
    "field",
    [
        *(
            "retryPolicy",
            "circuitBreakerPolicy",
            "memoryCache",
            "spanName",
        ),
        *("serviceName", "serviceRegistry"),
    ],
)
def test_a_field_of_a_pool_that_is_missing_is_refused(field: str) -> None:
    assert faults({field: "x"}).startswith("not supported yet: ")


@pytest.mark.parametrize("field", ["mirrorPool", "compression", "mtls"])
def test_a_field_that_is_missing_is_refused(field: str) -> None:
    assert faults(**{field: {"a": "b"}}).startswith("not supported yet: ")


def test_limits_have_to_agree() -> None:
    assert "for all servers together" in faults(maxIdleConns=1, maxIdleConnsPerHost=2)


def test_the_faults_of_pools_are_found() -> None:
    assert "weight" in faults({"servers": [*SERVERS, {"url": "http://b", "weight": 1}]})


def test_the_faults_of_several_pools_are_found() -> None:
    with pytest.raises(ConfigError) as caught:
        make_filter(Proxy, pools=[{"servers": SERVERS}, {"servers": SERVERS}])
    assert "second pool without a filter" in caught.value.problems[0].wrong
