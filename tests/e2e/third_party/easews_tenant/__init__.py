"""Tenant for easews: tells the backend whose request this is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easews import Context, Filter, hookimpl, problem

SCHEMA = {
    "type": "object",
    "properties": {
        "hosts": {
            "description": "The tenant of each host name; ports do not count.",
            "type": "object",
            "additionalProperties": {"type": "string", "pattern": "^[A-Za-z0-9-]+$"},
            "examples": [{"blue.example.org": "blue"}],
        },
        "header": {
            "$ref": "urn:easews:common#/$defs/headerName",
            "description": "The header that names the tenant to the backend.",
            "default": "X-Tenant",
        },
    },
    "required": ["hosts"],
    "additionalProperties": False,
}


class Tenant(Filter):
    """Names the tenant that a host belongs to, and refuses unknown hosts."""

    kind = "Tenant"
    schema = SCHEMA
    results = ("unknownTenant",)

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._header: str = spec["header"]
        self._tenants = {host.lower(): tenant for host, tenant in spec["hosts"].items()}

    async def handle(self, ctx: Context) -> str | None:
        host = ctx.request.host.lower().partition(":")[0]
        tenant = self._tenants.get(host)
        if tenant is None:
            ctx.response = problem(ctx.request, 404, f"the host {host} is unknown here", id=ctx.id)
            return "unknownTenant"
        # `set` replaces what the client may have sent.
        ctx.request.headers.set(self._header, tenant)
        return None


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [Tenant]
