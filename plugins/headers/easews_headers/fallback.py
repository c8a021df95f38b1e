"""Fallback: an answer for when others have failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from easews import Context, Filter, Response, SpecFault

from .fixed import FixedAnswer, answer_faults

FALLBACK = "fallback"
_KEYS = ("mockHeaders", "mockBody")


class Fallback(Filter):
    """Answers in place of a filter that has failed, from which a jumpIf leads here."""

    kind = "Fallback"
    api = 1
    schema = "Fallback.json"
    results = (FALLBACK,)

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return answer_faults(spec["mockCode"], spec["mockHeaders"], spec["mockBody"], (), _KEYS)

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._answer = FixedAnswer(spec["mockCode"], spec["mockHeaders"], spec["mockBody"])

    async def handle(self, ctx: Context) -> str:
        failed = ctx.response
        # The log goes on to say why the other filter has failed.
        reason = failed.reason if isinstance(failed, Response) else ""
        ctx.response = self._answer.make(ctx, reason)
        return FALLBACK
