"""All hops one after the other, with the progress shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import anyio

from .asking import Target
from .probes import Battery, look_at
from .progress import Progress
from .seen import Hop


def examine(targets: Sequence[Target], battery: Battery) -> list[Hop]:
    """What is seen at each of them."""
    return anyio.run(_examine, targets, battery)


async def _examine(targets: Sequence[Target], battery: Battery) -> list[Hop]:
    progress = Progress()
    telling = replace(battery, progress=progress.step)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(progress.run)
        hops = [await look_at(number, one, telling) for number, one in enumerate(targets, 1)]
        progress.stop()
    return hops
