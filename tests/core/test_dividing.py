"""What a config allows a whole gateway is divided among its workers."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import pytest

from easews import Context, Filter
from easews.config import load
from easews.config.model import Config
from easews.operate.workers.cores import usable_cores
from easews.operate.workers.dividing import divided, part
from easews.plugins import discover
from easews.testing import load_config

CONFIG = """
kind: HTTPServer
name: web
port: 80
maxConnections: 11
rules: [{paths: [{path: /ws, backend: p, clientMaxBodySize: -1}]}]
---
kind: Pipeline
name: p
filters:
- kind: WebSocketProxy
  name: w
  pools:
  - servers: [{url: "ws://127.0.0.1:9", maxConnections: 7}, {url: "ws://127.0.0.1:8"}]
    maxConnections: 5
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    return load([str(file)], discover())


@pytest.mark.parametrize(
    ("whole", "parts"), [(11, [4, 4, 3]), (9, [3, 3, 3]), (1, [1, 1, 1]), (2, [1, 1, 1])]
)
def test_no_worker_gets_nothing(whole: int, parts: list[int]) -> None:
    assert [part(whole, number, 3) for number in (1, 2, 3)] == parts


def test_limits_of_servers_and_pools_are_divided(config: Config) -> None:
    given = divided(config, 2, 3)
    assert given.servers[0].max_connections == 4
    (pool,) = given.pipelines[0].filters[0].spec["pools"]
    assert pool["maxConnections"] == 2
    assert [server.get("maxConnections") for server in pool["servers"]] == [2, None]
    assert config.servers[0].max_connections == 11


def test_how_fast_a_gateway_drains_is_divided() -> None:
    config = load_config("{kind: Gateway, name: g, drain: {perSecond: 10}}")
    rates = [divided(config, number, 4).gateway.drain.per_second for number in (1, 2, 3, 4)]
    assert rates == [3, 3, 2, 2]
    assert config.gateway.drain.per_second == 10


class Swims(Filter):
    """Has pools of water."""

    kind = "Swims"
    schema = MappingProxyType(
        {"type": "object", "properties": {"pools": {}, "maxConnections": {"type": "integer"}}}
    )

    async def handle(self, ctx: Context) -> None: ...


@pytest.mark.parametrize(
    "fields", ["", ", pools: [deep, shallow]", ", pools: {maxConnections: 9}", ", pools: [{}]"]
)
def test_a_filter_whose_pools_have_no_limit_stays_as_it_is(fields: str) -> None:
    spec = f"{{kind: Swims, name: a, maxConnections: 9{fields}}}"
    config = load_config(f"{{kind: Pipeline, name: p, filters: [{spec}]}}", Swims)
    assert divided(config, 1, 3).pipelines == config.pipelines


@pytest.mark.parametrize(
    ("given", "part_of_it"),
    [
        ({"maxConnections": 9}, {"maxConnections": 3}),
        ({"servers": [{"maxConnections": 9}]}, {"servers": [{"maxConnections": 3}]}),
    ],
)
def test_a_limit_is_divided_wherever_it_stands(
    given: dict[str, object], part_of_it: dict[str, object]
) -> None:
    pools = f"pools: [{json.dumps(given)}, {{}}]"
    spec = f"{{kind: Swims, name: a, {pools}}}"
    config = load_config(f"{{kind: Pipeline, name: p, filters: [{spec}]}}", Swims)
    (pipeline,) = divided(config, 1, 3).pipelines
    assert pipeline.filters[0].spec["pools"] == [part_of_it, {}]


def test_nothing_else_is_different(config: Config) -> None:
    assert divided(config, 1, 1) == config
    no_limits = divided(config, 1, 4).pipelines[0].flow
    assert no_limits == config.pipelines[0].flow


@pytest.mark.parametrize(
    ("quota", "most"), [("200000 100000", 2), ("50000 100000", 1), ("max 100000", 9999), ("", 9999)]
)
def test_a_container_may_use_what_its_quota_says(quota: str, most: int, tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    usual = usable_cores(file)
    file.write_text(quota)
    assert usable_cores(file) == min(usual, most)
    assert usual >= 1
