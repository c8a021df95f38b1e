"""What each of several workers gets of what a config allows a whole gateway. Pure.

Numbers that a config has for all processes together are divided: each worker counts by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...config.model import Config, FilterSpec, PipelineSpec

_MOST = "maxConnections"


def part(whole: int, number: int, count: int) -> int:
    """What the worker `number` of `count` gets of `whole`. None gets nothing, so that all of them
    together have a little more when there is less than one for each.
    """
    return max(1, whole // count + (number <= whole % count))


def divided(config: Config, number: int, count: int) -> Config:
    """The config for the worker `number` of `count`, counted from 1."""
    drain = config.gateway.drain
    if drain.per_second:
        drain = drain._replace(per_second=part(drain.per_second, number, count))
    return replace(
        config,
        gateway=replace(config.gateway, drain=drain),
        servers=tuple(
            replace(spec, max_connections=part(spec.max_connections, number, count))
            for spec in config.servers
        ),
        pipelines=tuple(_pipeline(spec, number, count) for spec in config.pipelines),
    )


def _pipeline(spec: PipelineSpec, number: int, count: int) -> PipelineSpec:
    filters = tuple(_filter(entry, number, count) for entry in spec.filters)
    return spec if filters == spec.filters else replace(spec, filters=filters)


def _filter(entry: FilterSpec, number: int, count: int) -> FilterSpec:
    """Pools are found by their name: their schema is the engine's, whatever filter has them."""
    pools = entry.spec.get("pools")
    if not isinstance(pools, list) or not any(map(_has_limit, pools)):
        return entry
    divided_pools = [_limited(pool, number, count) for pool in pools]
    return replace(entry, spec={**entry.spec, "pools": divided_pools})


def _has_limit(pool: Any) -> bool:
    if not isinstance(pool, Mapping):
        return False
    return any(_MOST in it for it in (pool, *pool.get("servers", ())))


def _limited(given: Mapping[str, Any], number: int, count: int) -> Mapping[str, Any]:
    """A pool or one of its servers."""
    made = dict(given)
    if _MOST in made:
        made[_MOST] = part(made[_MOST], number, count)
    if "servers" in made:
        made["servers"] = [_limited(server, number, count) for server in made["servers"]]
    return made
