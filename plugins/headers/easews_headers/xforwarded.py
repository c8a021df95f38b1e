"""XForwarded: what the backend is told about the client, where the default is not the right one."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from easews import Context, Filter, ForwardedPolicy


class XForwarded(Filter):
    """Tells the backend whom the request came from, in X-Forwarded-* and Forwarded."""

    kind = "XForwarded"
    schema = "XForwarded.json"

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._policy = ForwardedPolicy(spec["mode"], spec["headers"], spec["forwarded"])
        # Without a list of its own this filter trusts whom its server trusts.
        self._trusted = tuple(map(ip_network, spec["trusted"])) if "trusted" in spec else None

    async def handle(self, ctx: Context) -> None:
        if ctx.forwarded:  # a hop is told once, and the first filter has done it
            return
        trusted = ctx.route.trusted_proxies if self._trusted is None else self._trusted
        self._policy.apply(ctx.request.headers, ctx.request, trusted)
        ctx.forwarded = True
