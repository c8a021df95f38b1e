"""AbRouting for easews: leads each client to one of several variants, and always to the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from easews import Context, Filter, SpecFault, Template, cookie, hookimpl


@dataclass(frozen=True, slots=True)
class Variant:
    """A note from `handle` to `on_answer`: the client's variant, and whether it knows it."""

    name: str
    is_known: bool


class AbRouting(Filter):
    """Leads each client to one of several variants, and always to the same."""

    kind = "AbRouting"
    api = 1
    schema = "AbRouting.json"

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        yield from Template.faults(spec["key"], ("key",))
        if not any(spec["variants"].values()):
            yield SpecFault(("variants",), "no variant gets any clients", "a share above 0")

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._key = Template(spec["key"])
        shares: Mapping[str, int] = spec["variants"]
        self._slots = [variant for variant, share in shares.items() for _ in range(share)]

    async def handle(self, ctx: Context) -> None:
        known = cookie(ctx.request.headers, self.spec["cookie"])
        if known in self.spec["variants"]:
            variant = Variant(str(known), is_known=True)
        else:
            variant = Variant(self._choose(self._key.render(ctx) or ctx.request.client.host), False)
        # `set` replaces what the client may have sent.
        ctx.request.headers.set(self.spec["header"], variant.name)
        ctx.labels["variant"] = variant.name  # for the log
        ctx.notes.put(variant)

    async def on_answer(self, ctx: Context) -> None:
        variant = ctx.notes[Variant]
        if ctx.response is not None and not variant.is_known:
            text = f"{self.spec['cookie']}={variant.name}; Path=/; HttpOnly; SameSite=Lax"
            ctx.response.headers.add("Set-Cookie", text)

    def _choose(self, key: str) -> str:
        """Spread keys over the shares: the same key gets the same variant in every process."""
        at = int.from_bytes(sha256(key.encode()).digest()[:8], "big") % len(self._slots)
        return self._slots[at]


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [AbRouting]
