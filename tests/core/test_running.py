"""Operators see which pools are at work, and whose they are."""

from __future__ import annotations

from types import MappingProxyType
from typing import Self

import anyio
from tests.core.test_reload import OPEN, end_session, open_session

from easews import Connection, Context, Filter, Headers, Upgrade
from easews.testing import OpenSession, Running, gateway
from easews.upstream import Pool, Server, running_pools

HEAD = "{kind: HTTPServer, name: s, port: 80, rules: [{paths: [{path: /ws, backend: p}]}]}\n---\n"


class Balances(Filter):
    """A filter of a third party: it enters its pools, and knows of nothing else."""

    kind = "Balances"
    schema = MappingProxyType({"type": "object", "properties": {"hosts": {"type": "array"}}})

    async def __aenter__(self) -> Self:
        self.pools = [
            Pool.from_spec({"servers": [{"url": f"ws://{host}", "keepHost": False}]}, policy)
            for host, policy in zip(self.spec["hosts"], ("random", "ipHash"), strict=False)
        ]
        for pool in self.pools:
            await pool.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        for pool in self.pools:
            await pool.__aexit__(*raised)

    async def handle(self, ctx: Context) -> None:
        ctx.response = Upgrade(Headers(), "x", "backend", self._start, lambda: None)

    def _start(self, connection: Connection) -> None:
        OPEN.append((connection, OpenSession(connection.opening)))
        connection.opened(OPEN[-1][1])


def config(**hosts: list[str]) -> str:
    filters = ", ".join(f"{{kind: Balances, name: {name}, hosts: {hosts[name]}}}" for name in hosts)
    return HEAD + f"{{kind: Pipeline, name: p, filters: [{filters}]}}"


def shown(running: Running, older: bool = False) -> list[tuple[str, int, str]]:
    """The pools that run: filter, index, and the URL of their server."""
    pools = running_pools(running.gateway.owners(older=older))
    return [(it.filter, it.index, it.pool.states()[0].url) for it in pools]


async def test_the_pools_of_all_filters_are_listed_with_their_owners() -> None:
    async with gateway(config(one=["a", "b"], two=["c"]), Balances) as running:
        pools = running_pools(running.gateway.owners())
        assert [(it.pipeline, it.pool.policy) for it in pools] == [
            ("p", "random"),
            ("p", "ipHash"),
            ("p", "random"),
        ]
        assert shown(running) == [("one", 0, "ws://a"), ("one", 1, "ws://b"), ("two", 0, "ws://c")]
        owners = running.gateway.owners()
    assert running_pools(owners) == []


async def test_pools_of_an_older_config_are_listed_only_when_asked_for() -> None:
    async with gateway(config(one=["a"], same=["s"]), Balances) as running:
        stream = await open_session(running)
        await running.replace(config(one=["b"], same=["s"]), Balances)
        assert shown(running) == [("one", 0, "ws://b"), ("same", 0, "ws://s")]
        assert shown(running, older=True) == [*shown(running), ("one", 0, "ws://a")]
        end_session()
        await anyio.wait_all_tasks_blocked()
        assert shown(running, older=True) == shown(running)
        await stream.aclose()


async def test_a_pool_outside_of_a_gateway_is_nobodys() -> None:
    async with Pool([Server.at("ws://a")]) as pool:
        assert [(state.url, state.weight) for state in pool.states()] == [("ws://a", 1)]
    assert running_pools([]) == []
