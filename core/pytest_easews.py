"""Fixtures for tests of filters: real gateways, backends and clients that last as long as a test.

pytest loads this module wherever easews is installed, so it stands outside of the package and
imports easews only in tests that ask for a fixture. Each runs in a task of its own: they may be
started anywhere in a test, and end in any order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from easews.testing import RealBackend, Running, SocketPeer

T = TypeVar("T")


@pytest.fixture
async def easews_proxy() -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """``await easews_proxy(config, *filters)`` is a gateway: see `easews.testing.gateway`."""
    from easews.testing import gateway

    async with _starting(gateway) as start:
        yield start


@pytest.fixture
async def easews_backend() -> AsyncIterator[Callable[..., Awaitable[RealBackend]]]:
    """``await easews_backend(**faults)`` is a server: see `easews.testing.real_backend`."""
    from easews.testing import real_backend

    async with _starting(real_backend) as start:
        yield start


@pytest.fixture
async def easews_client() -> AsyncIterator[Callable[..., Awaitable[SocketPeer]]]:
    """``await easews_client(proxy.address)`` is a client: see `easews.testing.real_client`."""
    from easews.testing import real_client

    async with _starting(real_client) as start:
        yield start


@asynccontextmanager
async def _starting(
    make: Callable[..., AbstractAsyncContextManager[T]],
) -> AsyncIterator[Callable[..., Awaitable[T]]]:
    """A function that enters what `make` returns; it is left at the end of the test."""
    import anyio

    async def live(args: Any, kwargs: Any, *, task_status: TaskStatus[T]) -> None:
        async with make(*args, **kwargs) as made:
            task_status.started(made)
            await anyio.sleep_forever()

    async with anyio.create_task_group() as lives:

        async def start(*args: Any, **kwargs: Any) -> T:
            started: T = await lives.start(live, args, kwargs)
            return started

        yield start
        lives.cancel_scope.cancel()
