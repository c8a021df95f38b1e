"""The servers of a pool follow what their names lead to, for as long as the pool is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import random

import anyio

from ..servers import Server
from .lookup import look_up
from .records import Known, known_of, servers_at
from .resolving import Resolve, next_look_up, next_retry


class Following:
    """The servers that stand for those of a config.

    Begins with what this process knows of the names. A server whose host is an IP stays as it is.
    """

    def __init__(self, servers: Iterable[Server], resolve: Resolve) -> None:
        self._configured = tuple(servers)
        self._resolve = resolve
        self._names = {
            server.host: known_of(server.host, resolve)
            for server in self._configured
            if not server.is_ip
        }
        self._unasked = set(self._names)
        self._asked = anyio.Event()
        self._told = self.servers

    @property
    def servers(self) -> list[Server]:
        """The servers at present. There may be none. Two names may lead to the same one."""
        every = (server for one in self._configured for server in self._at_present(one))
        return [*dict.fromkeys(every)]

    def _at_present(self, server: Server) -> Sequence[Server]:
        if server.is_ip:
            return (server,)
        return servers_at(server, self._names[server.host].targets or ())

    def expected(self, url: str) -> Server | None:
        """The server at `url`, if a name of the config may lead to it; else None. That it does is
        known once the name has been looked up.
        """
        try:
            server = Server.at(url)
        except ValueError:
            return None
        if server.is_unix or not server.is_ip or server.secure:
            return None
        named = (one for one in self._configured if not one.is_ip)
        return server if any(self._may_lead(one, server) for one in named) else None

    def _may_lead(self, name: Server, server: Server) -> bool:
        same_port = self._resolve.mode == "srv" or name.port == server.port
        return same_port and name.path == server.path and not name.secure

    async def run(self, changed: Callable[[Sequence[Server]], None]) -> None:
        """Look the names up again and again, and call `changed` with the servers when they differ.

        A name that cannot be looked up keeps the servers that it had.
        """

        def tell() -> None:
            if self._told != (servers := self.servers):
                self._told = servers
                changed(servers)

        async with anyio.create_task_group() as tasks:
            for host, known in self._names.items():
                tasks.start_soon(self._follow, host, known, tell)

    async def wait_asked(self) -> None:
        """Return when there is a server, or every name has been asked for, or `timeout` is over."""
        with anyio.move_on_after(self._resolve.timeout):
            await self._asked.wait()

    async def _follow(self, host: str, known: Known, tell: Callable[[], None]) -> None:
        resolve, failures = self._resolve, 0
        while True:
            outcome = await look_up(host, resolve, known)
            tell()
            self._unasked.discard(host)
            if outcome.targets or not self._unasked:
                self._asked.set()
            failures = failures + 1 if outcome.trouble else 0
            await anyio.sleep(
                next_retry(failures, resolve, random())
                if failures
                else next_look_up(outcome.ttl, resolve, random())
            )
