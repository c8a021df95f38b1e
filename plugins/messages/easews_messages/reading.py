"""What our filters share: whose messages they read, and how they read large ones.

Reading JSON takes time by its size, and nobody else gets anything while the event loop is held.
So small messages are read where they are, and large ones in one of a few threads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeAlias, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from easews import Data, Filter, Reads, Result, Sender, SpecFault

from .paths import JsonPath, PathFault

T = TypeVar("T")
#: What a hook returns: at once, or to be awaited.
MaybeLater: TypeAlias = Result | Awaitable[Result]

#: Characters or bytes that a message may have to be read in the event loop: jsonschema takes up
#: to 2 ms for that many.
IN_PLACE = 4 * 1024
#: How many threads of one filter read large messages.
_THREADS = 2
_SENDERS: Mapping[str, tuple[Sender, ...]] = {
    "client": ("client",),
    "backend": ("backend",),
    "both": ("client", "backend"),
}


class MessageFilter(Filter):
    """Reads the messages that `from` and `maxMessageSize` of its config name."""

    api = 1

    def __init__(self, name: str, spec: Mapping[str, Any], *, binary: bool = True) -> None:
        super().__init__(name, spec)
        senders = _SENDERS[spec["from"]]
        self.reads = Reads(senders, binary=binary, max_size=spec["maxMessageSize"])
        self._threads: CapacityLimiter | None = None

    async def __aenter__(self) -> Self:
        self._threads = CapacityLimiter(_THREADS)
        return self

    def worked(
        self, work: Callable[[Data], T], data: Data, then: Callable[[T], MaybeLater]
    ) -> MaybeLater:
        """``then(work(data))``; `work`, which must be pure, may run in a thread."""
        if len(data) <= IN_PLACE:
            return then(work(data))
        return self._aside(work, data, then)

    async def _aside(
        self, work: Callable[[Data], T], data: Data, then: Callable[[T], MaybeLater]
    ) -> Result:
        # A thread goes on when nobody waits for it: so that there are no more than we count, a
        # session that ends waits for it.
        with anyio.CancelScope(shield=True):
            done = await to_thread.run_sync(work, data, limiter=self._threads)
        result = then(done)
        return await result if isinstance(result, Awaitable) else result


def path_fault(text: str, at: tuple[str | int, ...], *, whole: bool = False) -> SpecFault | None:
    """The fault of a path at `at` of a spec, if it has one. Whether ``$`` may be: `whole`."""
    try:
        path = JsonPath(text)
    except PathFault as fault:
        return SpecFault(at, str(fault), "write it as in $.user.name, $.users[*].token or $..token")
    if path.is_root and not whole:
        return SpecFault(at, "this is the whole message", "name a field, as in $.user")
    return None
