"""Mock: answers that a config has for some requests, such as a health check or a robots.txt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import anyio

from easews import Context, Filter, Headers, Request, SpecFault, compile_regexp

from .fixed import FixedAnswer, answer_faults

MOCKED = "mocked"
_KEYS = ("headers", "body")

_Spec = Mapping[str, Any]


class Mock(Filter):
    """Answers requests by path and headers, without a backend; others go on."""

    kind = "Mock"
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
        self._headers = [_header_test(name, it) for name, it in match["headers"].items()]
        self._enough = all if match["matchAllHeaders"] else any
        self.delay: float = spec["delay"]
        self.answer = FixedAnswer(spec["code"], spec["headers"], spec["body"])

    def takes(self, request: Request) -> bool:
        path, headers = request.path, request.headers
        if self._path or self._prefix:
            begins = bool(self._prefix) and path.startswith(self._prefix)
            if not (path == self._path or begins):
                return False
        return not self._headers or self._enough(test(headers) for test in self._headers)


def _header_test(name: str, match: _Spec) -> Callable[[Headers], bool]:
    """Whether a header is as asked for: absent, or one of its values matches in one way."""
    exact: str | None = match.get("exact")
    prefix: str = match.get("prefix", "")
    regexp = compile_regexp(match["regex"]) if "regex" in match else None

    def test(headers: Headers) -> bool:
        values = [_text(value) for value in headers.get_all(name)]
        if match["empty"]:
            return not values
        return any(
            value == exact
            or (prefix and value.startswith(prefix))
            or (regexp is not None and regexp.search(value))
            for value in values
        )

    return test


def _text(value: str) -> str:
    """A header's value, one character for each byte, as text."""
    return value if value.isascii() else value.encode("latin-1").decode("utf-8", "replace")
