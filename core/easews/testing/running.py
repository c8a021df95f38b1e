"""A whole gateway for a test, on ports of its own, with real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from ..addresses import UNIX, Address
from ..config import Config
from ..filters import Filter
from ..operate.serving.binding import bind_all
from ..operate.serving.gateway import Gateway
from ..operate.serving.reload import Plan
from ..sessions import Sessions
from .contexts import load_config


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that serves: where it listens, and what is open.

    gateway  the gateway itself, which is internal
    """

    gateway: Gateway

    @property
    def sessions(self) -> Sessions:
        """The open sessions."""
        return self.gateway.sessions

    @property
    def addresses(self) -> Mapping[str, Address]:
        """Where each server listens, by its name."""
        return {name: at.addresses[0] for name, at in self.gateway.listeners.items()}

    @property
    def address(self) -> Address:
        """Where the config's first server listens."""
        return next(iter(self.addresses.values()))

    async def replace(self, config: Config | str, *filters: type[Filter]) -> Plan:
        """Serve `config` from now on, and return what that has changed.

        A server that keeps its name keeps its address, too. Use it to test `Filter.inherit`, and
        that a filter ends when its last session does.
        """
        return await self.gateway.replace(_on_loopback(config, *filters))


@asynccontextmanager
async def gateway(config: Config | str, *filters: type[Filter]) -> AsyncIterator[Running]:
    """Serve `config` (YAML, or the result of `load_config`) while the block runs.

    Servers listen on 127.0.0.1, each on a port that the kernel chooses, whatever the config says,
    so that tests can run at the same time; those on a unix socket listen there.
    """
    config = _on_loopback(config, *filters)
    served = Gateway(config, bind_all(config.servers))
    with one_error():
        async with served.serving():
            yield Running(served)


@contextmanager
def one_error() -> Iterator[None]:
    """Raise a single error as it is, not in a group: a failed assertion should look like one."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if error is group:
            raise
        raise error from None


def _on_loopback(config: Config | str, *filters: type[Filter]) -> Config:
    if isinstance(config, str):
        config = load_config(config, *filters)
    servers = [
        spec if spec.address.startswith(UNIX) else replace(spec, address="127.0.0.1", port=0)
        for spec in config.servers
    ]
    return replace(config, servers=tuple(servers))
