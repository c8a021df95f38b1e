"""The kit that filter authors test with, and easews itself.

A filter by itself needs no more than a context::

    async def test_it_stamps_the_request():
        ctx = make_context("/path")
        assert await Stamp("stamp", {"text": "hi"}).handle(ctx) is None
        assert ctx.request.headers.get("X-Stamp") == "hi"

In a whole gateway, on a port of its own, with real sockets::

    async def test_it_stamps_what_the_backend_gets():
        async with gateway(CONFIG, Stamp) as running:
            ...  # connect to running.address

pytest runs such tests on asyncio and on trio with anyio's own plugin.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from .config import Config, Source, from_sources
from .filters import Context, Filter
from .hookspecs import hookimpl
from .http import Address, Headers, Request
from .plugins import Found, Kinds, discover, installed
from .sessions import Sessions
from .supervisor import Gateway, bind_all


def make_context(
    target: str = "/", headers: Iterable[tuple[str, str]] = (), *, method: str = "GET"
) -> Context:
    """A context as a filter gets it, for a request without a body."""
    fields = Headers([("Host", "gateway.example"), *headers])
    return Context(Request(method, target, fields), id="test")


def kinds_with(*filters: type[Filter]) -> Kinds:
    """The installed kinds, and these classes as if a package of theirs were installed."""
    local = Found("the-test", "0", _LocalPlugin(filters))
    kinds = discover([*installed(), local])
    for error in kinds.broken:
        if error.distribution == local.distribution:
            raise error
    return kinds


def load_config(
    text: str, *filters: type[Filter], environ: Mapping[str, str] = os.environ
) -> Config:
    """The config in `text`. ConfigError when it cannot be used."""
    return from_sources([Source("test.yaml", text)], kinds_with(*filters), environ)


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway at work: where its servers listen, by name, and what is open."""

    addresses: Mapping[str, Address]
    sessions: Sessions
    gateway: Gateway

    @property
    def address(self) -> Address:
        """Where the config's first server listens."""
        return next(iter(self.addresses.values()))


@asynccontextmanager
async def gateway(config: Config | str, *filters: type[Filter]) -> AsyncIterator[Running]:
    """Serve `config` (YAML, or one that `load_config` has made) while the block runs.

    Servers listen on 127.0.0.1, each on a port that the kernel has chosen, whatever the config
    says: tests can then run side by side.
    """
    if isinstance(config, str):
        config = load_config(config, *filters)
    servers = [replace(spec, address="127.0.0.1", port=0) for spec in config.servers]
    config = replace(config, servers=tuple(servers))
    served = Gateway(config, bind_all(config))
    try:
        async with served.serving():
            listeners = served.listeners.items()
            addresses = {name: listener.addresses[0] for name, listener in listeners}
            yield Running(addresses, served.sessions, served)
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise group.exceptions[0] from None  # a failed assertion should look like one


class _LocalPlugin:
    """An entry point, and the plugin that it leads to."""

    name = "the-test"
    value = "the-test"

    def __init__(self, filters: Iterable[type[Filter]]) -> None:
        self._filters = list(filters)

    def load(self) -> _LocalPlugin:
        return self

    @hookimpl
    def easews_filters(self) -> list[type[Filter]]:
        return self._filters
