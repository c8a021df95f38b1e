"""Mock: answers that a config has for some requests, such as a health check or a robots.txt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import anyio

from easews import Context, Filter, HeaderMatch, Request, SpecFault

from .fixed import FixedAnswer, answer_faults

MOCKED = "mocked"
_KEYS = ("headers", "body")

_Spec = Mapping[str, Any]


class Mock(Filter):
    """Answers requests by path and headers, without a backend; others go on."""

    kind = "Mock"
    api = 1
    schema = "Mock.json"
    results = (MOCKED,)

    @classmethod
    def check(cls, spec: _Spec) -> Iterable[SpecFault]:
        for number, rule in enumerate(spec["rules"]):
            at = ("rules", number)
            yield from answer_faults(rule["code"], rule["headers"], rule["body"], at, _KEYS)

    def __init__(self, name: str, spec: _Spec) -> None:
        super().__init__(name, spec)
        self._rules = [_Rule(rule) for rule in spec["rules"]]

    async def handle(self, ctx: Context) -> str | None:
        for rule in self._rules:
            if rule.takes(ctx.request):
                if rule.delay:
                    await anyio.sleep(rule.delay)
                ctx.response = rule.answer.make(ctx)
                return MOCKED
        return None


class _Rule:
    def __init__(self, spec: _Spec) -> None:
        match: _Spec = spec["match"]
        self._path: str = match.get("path", "")
        self._prefix: str = match.get("pathPrefix", "")
        self._headers = HeaderMatch(match["headers"], match_all=match["matchAllHeaders"])
        self.delay: float = spec["delay"]
        self.answer = FixedAnswer(spec["code"], spec["headers"], spec["body"])

    def takes(self, request: Request) -> bool:
        path = request.path
        if self._path or self._prefix:
            begins = bool(self._prefix) and path.startswith(self._prefix)
            if not (path == self._path or begins):
                return False
        return self._headers.fits(request.headers)
