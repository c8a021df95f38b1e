"""CORSAdaptor: which pages of other sites may use what is behind it (the Fetch standard's CORS).

A browser asks before it sends some requests (a preflight), and shows a page the answer to any
request only if that answer allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from easews import (
    Context,
    Filter,
    Headers,
    OriginPatterns,
    Response,
    SpecFault,
    asked_host,
    parse_origin,
    problem,
)

PREFLIGHTED = "preflighted"
REJECTED = "rejected"

#: An origin that only a pattern for every site matches.
_ANY_SITE = "https://any.invalid"
_VARY = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")


@dataclass(frozen=True, slots=True)
class _Allowed:
    """A note: the page whose request it is may see the answer."""

    origin: str


class CORSAdaptor(Filter):
    """Answers the preflights of browsers, and says which pages may see an answer (CORS)."""

    kind = "CORSAdaptor"
    api = 1
    schema = "CORSAdaptor.json"
    results = (PREFLIGHTED, REJECTED)

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        for number, pattern in enumerate(spec["allowedOrigins"]):
            at = ("allowedOrigins", number)
            if fault := OriginPatterns.fault(pattern):
                yield SpecFault(at, *fault)
            elif spec["allowCredentials"] and OriginPatterns([pattern]).match(_ANY_SITE):
                wrong = "with allowCredentials, pages of every site could act as the user"
                yield SpecFault(at, wrong, "name the sites, as in https://*.example.org")

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._patterns = OriginPatterns(spec["allowedOrigins"])
        self._any_origin = "*" in spec["allowedOrigins"]
        self._methods: list[str] = spec["allowedMethods"]
        self._headers = {header.lower() for header in spec["allowedHeaders"]}
        self._credentials: bool = spec["allowCredentials"]
        self._exposed = ", ".join(spec["exposedHeaders"])
        self._max_age: int = spec["maxAge"]
        self._requests: bool = spec["supportCORSRequest"]

    async def handle(self, ctx: Context) -> str | None:
        request = ctx.request
        origins = request.headers.get_all("origin")
        preflight = (
            request.method == "OPTIONS" and "access-control-request-method" in request.headers
        )
        # CORS is not for WebSockets: their proxy checks Origin by itself.
        if not origins or request.wants_upgrade or not (preflight or self._requests):
            return None
        origin = origins[0]
        if len(origins) > 1 or not (self._any_origin or self._patterns.match(origin)):
            if not preflight and _is_own(ctx, origin):
                return None
            return _reject(ctx, f"pages of {origin} are not allowed to use this")
        if preflight:
            return self._preflight(ctx, origin)
        ctx.notes.put(_Allowed(origin))
        return None

    async def on_answer(self, ctx: Context) -> None:
        if not self._requests or not isinstance(ctx.response, Response):
            return
        headers = ctx.response.headers
        _add_vary(headers, "Origin")  # also for those without: caches keep both apart
        if allowed := ctx.notes.get(_Allowed):
            self._allow(headers, allowed.origin)
            if self._exposed:
                headers.set("Access-Control-Expose-Headers", self._exposed)

    def _preflight(self, ctx: Context, origin: str) -> str:
        method = ctx.request.headers.get("access-control-request-method")
        if not {method, "*"} & {*self._methods}:
            return _reject(ctx, f"pages of other sites may not use {method}")
        asked = ctx.request.headers.tokens("access-control-request-headers")
        refused = [] if "*" in self._headers else [it for it in asked if it not in self._headers]
        if refused:
            return _reject(ctx, f"pages of other sites may not set {', '.join(refused)}")
        headers = Headers()
        self._allow(headers, origin)
        methods = [method] if "*" in self._methods else self._methods
        headers.add("Access-Control-Allow-Methods", ", ".join(methods))
        if asked:
            headers.add("Access-Control-Allow-Headers", ", ".join(asked))
        if self._max_age:
            headers.add("Access-Control-Max-Age", str(self._max_age))
        _add_vary(headers, *_VARY)
        ctx.response = Response(204, headers)
        return PREFLIGHTED

    def _allow(self, headers: Headers, origin: str) -> None:
        headers.set("Access-Control-Allow-Origin", "*" if self._any_origin else origin)
        headers.remove("Access-Control-Allow-Credentials")
        if self._credentials:
            headers.add("Access-Control-Allow-Credentials", "true")


def _is_own(ctx: Context, origin: str) -> bool:
    """Whether it is a page of the host that it asks: browsers send Origin with its POSTs, too."""
    page = parse_origin(origin)
    return page is not None and page.is_at(asked_host(ctx.request))


def _reject(ctx: Context, why: str) -> str:
    ctx.response = problem(ctx.request, 403, why, [("Vary", ", ".join(_VARY))], id=ctx.id)
    return REJECTED


def _add_vary(headers: Headers, *names: str) -> None:
    present = headers.tokens("vary")
    missing = [name for name in names if name.lower() not in present]
    if missing and "*" not in present:
        headers.add("Vary", ", ".join(missing))
