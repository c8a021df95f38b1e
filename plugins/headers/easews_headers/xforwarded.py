"""XForwarded: what the backend is told about the client, if not the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easews import Context, Filter, ForwardedPolicy, parse_network


class XForwarded(Filter):
    """Tells the backend who sent the request, in X-Forwarded-* and Forwarded."""

    kind = "XForwarded"
    api = 1
    schema = "XForwarded.json"

    trusted_field = "trusted"

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        trusted = tuple(map(parse_network, spec["trusted"])) if "trusted" in spec else None
        self._policy = ForwardedPolicy(spec["mode"], spec["headers"], spec["forwarded"], trusted)

    async def handle(self, ctx: Context) -> None:
        if ctx.forwarded:  # an earlier filter has done it, and a hop is added once
            return
        self._policy.apply(ctx.request.headers, ctx.request)
        ctx.forwarded = True
