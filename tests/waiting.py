"""How tests wait for what other tasks do, of which no event tells them."""

from __future__ import annotations

from collections.abc import Callable

import anyio

PATIENCE = 30


async def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; TimeoutError when it does not within PATIENCE seconds."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.002)
