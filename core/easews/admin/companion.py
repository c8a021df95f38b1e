"""The admin interface of a gateway that is one process: what goes on beside it."""

from __future__ import annotations

from ..operate.controlling import GatewayControl
from ..operate.gateway import Gateway
from ..operate.handover.taking import Taker
from ..operate.handover.upgrading import Upgrader
from ..operate.metrics import measuring
from ..operate.process import Companion
from ..operate.reloading import Reloader
from .admin import Admin


def administering(
    interface: Admin,
    reloader: Reloader,
    backend: str,
    upgrader: Upgrader | None = None,
    follows: Taker | None = None,
) -> Companion:
    """What serves `interface` for a gateway, and counts for its metrics, until cancelled."""

    async def administer(gateway: Gateway) -> None:
        async with measuring(gateway, reloader.outcomes) as metrics:
            control = GatewayControl(gateway, reloader, backend, metrics, upgrader, follows)
            await interface.serve(control, gateway.beside.append)

    return administer
