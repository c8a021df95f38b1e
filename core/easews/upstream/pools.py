"""The pools of a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Generic, Protocol, Self, TypeVar

from ..http import Request
from .candidates import Candidates
from .pool import Pool


class HasPool(Protocol):
    """What a filter knows of one of its pools."""

    @property
    def pool(self) -> Pool:
        """The pool."""


S = TypeVar("S", bound=HasPool)


class Pools(Generic[S]):
    """The pools of a filter, each with what the filter has to know of it.

    The filter enters them in its `__aenter__`, and leaves them in its `__aexit__`.
    """

    def __init__(self, specs: Sequence[Mapping[str, Any]], settings: Callable[[Any], S]) -> None:
        """`settings` makes what the filter knows of a pool from its spec."""
        self._settings = [settings(spec) for spec in specs]
        self._candidates = Candidates.from_spec(specs)
        self._entered = AsyncExitStack()

    def choose(self, request: Request) -> S:
        """What holds for the pool that takes `request`."""
        return self._settings[self._candidates.choose(request)]

    def inherit(self, previous: Pools[Any]) -> None:
        """Follow the pools of the config before. To be called before these are entered.

        Each pool follows the one that shares most servers with it, and with none it follows none.
        See `Pool.inherit`.
        """
        left = [settings.pool for settings in previous._settings]
        for pool in (settings.pool for settings in self._settings):
            alike = max(left, key=pool.in_common, default=None)
            if alike is not None and pool.in_common(alike):
                left.remove(alike)
                pool.inherit(alike)

    async def __aenter__(self) -> Self:
        for settings in self._settings:
            await self._entered.enter_async_context(settings.pool)
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self._entered.__aexit__(*raised)
