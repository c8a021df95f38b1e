"""All hops one after the other, with the progress shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio

from ..progress import Progress
from .asking import Target
from .probes import Battery, look_at
from .seen import Hop


def examine(targets: Sequence[Target], battery: Battery) -> list[Hop]:
    """What is seen at each of them."""
    with Progress() as progress:
        return anyio.run(_examine, targets, replace(battery, progress=progress.step))


async def _examine(targets: Sequence[Target], battery: Battery) -> list[Hop]:
    return [await look_at(number, one, battery) for number, one in enumerate(targets, 1)]
