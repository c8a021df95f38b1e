"""Admin: bound to its address when it is made, then serving a `Control`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import metadata

import anyio

from ..addresses import Address
from ..config.model import AdminSpec
from ..filters import Context
from ..http import Response
from ..http.hosts import host_name
from ..net.sockets import bound_address
from ..operate.announcing import announce, where
from ..operate.control import Control
from ..pipeline import Generation
from ..server import Listener, bind
from ..server.passed import NONE_PASSED, Passed
from ..services import Services
from .api import Api
from .auth import AccessPolicy
from .dashboard import pages
from .openapi import document
from .operations import API, OPERATIONS, Given, Operation
from .site import NAME, SERVICES, config_of, site_of
from .tokens import token_of, warn_if_public


class Admin:
    """The admin interface of `spec`, at `addresses`.

    ListenError when that cannot be had, TokenFault when there is no token where it should be.
    """

    def __init__(
        self,
        spec: AdminSpec,
        operations: Iterable[Operation] = OPERATIONS,
        passed: Passed = NONE_PASSED,
    ) -> None:
        """`passed` are sockets that were bound before, of which one may be for this address."""
        self._spec = spec
        self._token = token_of(spec)
        self._config = config_of(spec, self._answer)
        self._operations = _documented(
            [_as_open(it, spec) for it in operations], has_token=bool(self._token)
        )
        self._operations += pages()  # which are for people, so no document has them
        self._api: Api | None = None
        self._sockets = bind(self._config.servers[0], passed)
        self.addresses: list[Address] = [bound_address(sock) for sock in self._sockets]

    async def serve(
        self, control: Control, listens: Callable[[Listener], None] = lambda _: None
    ) -> None:
        """Answer what is asked of `control`, until cancelled. `listens` is told of the listener."""
        self._api = Api(control, self._policy(), self._operations)
        warn_if_public(self._spec)
        services, generation = Services(), Generation(self._config)
        async with anyio.create_task_group() as tasks:
            services.run_in(tasks)
            await services.ensure(SERVICES)
            await generation.start(tasks)
            listener = Listener(self._sockets, site_of(self._config, generation, services))
            listens(listener)
            for address in self.addresses:
                announce(f"{NAME} listens on {where('http', *address)}")
            await listener.serve()

    def close(self) -> None:
        """Let go of the address. After `serve` there is nothing to do."""
        for sock in self._sockets:
            sock.close()

    async def _answer(self, ctx: Context) -> Response:
        assert self._api is not None
        return await self._api.answer(ctx)

    def _policy(self) -> AccessPolicy:
        names = {host_name(name) for name in (self._spec.address, *self._spec.hosts)}
        return AccessPolicy(self._token, names)


def _as_open(operation: Operation, spec: AdminSpec) -> Operation:
    """Metrics need no token where the config says so."""
    is_open = operation.name == "metrics" and spec.metrics == "open"
    return replace(operation, access="open") if is_open else operation


def _documented(operations: list[Operation], *, has_token: bool) -> list[Operation]:
    """The operations, and the one that tells of them all."""

    async def told(given: Given) -> object:
        return made

    summary = "This document."
    own = Operation("openapi", "GET", f"{API}/openapi.json", summary, dict[str, object], told)
    every = [*operations, own]
    made = document(every, metadata.version("easews"), has_token=has_token)
    return every
