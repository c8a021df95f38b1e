"""The answer that switches to another protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..http import Headers
from .connection import Connection, Lease


@dataclass(slots=True, eq=False)
class Upgrade:
    """The answer that switches to another protocol (RFC 9110 §7.8).

    headers   end-to-end headers; the server adds those that its version of HTTP needs to switch
    protocol  the protocol, such as ``websocket``
    backend   names the other end of the session, for the log and for `Sessions.count`
    start     is called with the client's connection once the answer is on its way: it leaves the
              connection to a service and returns
    discard   is called when the protocol is not switched: it closes what the filter holds for
              the session, such as the backend's socket
    lease     what the session uses up to its end, such as an `Attempt`

    Exactly one of `start` and `discard` is called for every Upgrade, also when a later filter
    raises, the answer is replaced, or the client has left. Both may be async. The lease is over
    in any case: with the session, or after `discard`.
    """

    headers: Headers
    protocol: str
    backend: str
    start: Callable[[Connection], Awaitable[None] | None]
    discard: Callable[[], Awaitable[None] | None]
    lease: Lease | None = None
    _settled: bool = field(default=False, init=False)

    status = 101

    async def accept(self, connection: Connection) -> None:
        """Call `start`. For the engine. Raises what `start` raises."""
        if self._settled:
            raise RuntimeError("this Upgrade was already started or discarded")
        self._settled = True
        connection.use(self.lease)
        if (starting := self.start(connection)) is not None:
            await starting

    @property
    def held(self) -> bool:
        """Whether `aclose` has anything to do."""
        return not self._settled

    async def aclose(self) -> None:
        """Call `discard`, unless `accept` was called. For the engine."""
        if not self._settled:
            self._settled = True
            try:
                if (discarding := self.discard()) is not None:
                    await discarding
            finally:
                if self.lease is not None:
                    self.lease.over()
