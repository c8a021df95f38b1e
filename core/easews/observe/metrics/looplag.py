"""How late the event loop is."""

from __future__ import annotations

import anyio

from .histogram import LAGS, Histogram

#: Seconds between two looks.
EVERY = 0.5


async def measure(lag: Histogram, every: float = EVERY) -> None:
    """Add to `lag` how late a timer goes off, again and again, until cancelled."""
    while True:
        due = anyio.current_time() + every
        await anyio.sleep_until(due)
        lag.add(max(0.0, anyio.current_time() - due))


def loop_lag() -> Histogram:
    """An empty histogram for `measure`."""
    return Histogram(LAGS)
