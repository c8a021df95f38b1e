"""The admin interface of a gateway that is one process: what goes on beside it."""

from __future__ import annotations

from ..operate.controlling import GatewayControl
from ..operate.gateway import Gateway
from ..operate.metrics import measuring
from ..operate.process import Companion
from ..operate.reloading import Reloader
from .admin import Admin


def administering(interface: Admin, reloader: Reloader, backend: str) -> Companion:
    """What serves `interface` for a gateway, and counts for its metrics, until cancelled."""

    async def administer(gateway: Gateway) -> None:
        async with measuring(gateway, reloader.outcomes) as metrics:
            await interface.serve(GatewayControl(gateway, reloader, backend, metrics))

    return administer
