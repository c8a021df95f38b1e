"""Redirector: sends clients elsewhere, by a regular expression, or to https."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from easews import Context, Filter, Request, Response, SpecFault, asked_host, asked_scheme
from easews import replace_in_text as replaced

MISMATCH = "mismatch"

#: A browser takes `//host` for another host, and a backslash for a slash.
_other_host = re.compile(r"^[/\\]{2,}")
_port = re.compile(r":\d*\Z")


class Redirector(Filter):
    """Redirects requests whose URL matches a regular expression, or all of http to https."""

    kind = "Redirector"
    api = 1
    schema = "Redirector.json"
    results = (MISMATCH,)

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        given = [key for key in ("match", "replacement") if key in spec]
        if spec["https"] and given:
            wrong = f"https and {given[0]} cannot stand together"
            yield SpecFault((given[0],), wrong, "keep one of them")
        elif not spec["https"] and len(given) < 2:
            wrong = "it is not said what is redirected"
            yield SpecFault((), wrong, "write match and replacement, or https: true")

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._status: int = spec["statusCode"]
        self._goal: Callable[[Request], str | None]
        if spec["https"]:
            self._goal = _to_https(spec["httpsPort"])
        else:
            self._goal = _by_match(spec["match"], spec["matchPart"], spec["replacement"])

    async def handle(self, ctx: Context) -> str | None:
        location = self._goal(ctx.request)
        if location is None:
            return MISMATCH if ctx.routes(MISMATCH) else None
        headers = [("Location", location), ("Content-Type", "text/plain; charset=utf-8")]
        ctx.response = Response(self._status, headers, f"{location}\n")
        return None


def _to_https(port: int) -> Callable[[Request], str | None]:
    suffix = "" if port == 443 else f":{port}"

    def goal(request: Request) -> str | None:
        host = _port.sub("", asked_host(request))
        if asked_scheme(request) == "https" or not host:
            return None
        return f"https://{host}{suffix}{request.target}"

    return goal


def _by_match(match: str, part: str, replacement: str) -> Callable[[Request], str | None]:
    replace = replaced(match, replacement)
    other_host = _other_host.match(replacement)

    def goal(request: Request) -> str | None:
        url = _parts(request)
        location = replace(url[part])
        if location is not None and not other_host:
            # In `//evil.example/` a client has chosen the host, and not the config.
            location = _other_host.sub("/", location)
        return None if location in url.values() else location

    return goal


def _parts(request: Request) -> dict[str, str]:
    return {
        "full": f"{asked_scheme(request)}://{asked_host(request)}{request.target}",
        "uri": request.target,
        "path": request.raw_path,
    }
