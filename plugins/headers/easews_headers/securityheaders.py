"""SecurityHeaders: what tells browsers to be careful with the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from easews import Context, Filter, Headers, Response, asked_scheme

#: The field of the config and its header. `frameAncestors` is written as two headers.
_HEADERS = {
    "contentTypeOptions": "X-Content-Type-Options",
    "referrerPolicy": "Referrer-Policy",
    "permissionsPolicy": "Permissions-Policy",
}
#: What X-Frame-Options can say of `frameAncestors`, for browsers that know no better.
_FRAME_OPTIONS = {"'self'": "SAMEORIGIN", "'none'": "DENY"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A note: the scheme that the client has used."""

    scheme: str


class SecurityHeaders(Filter):
    """Adds the headers that tell browsers to be careful, unless the backend has set them."""

    kind = "SecurityHeaders"
    api = 1
    schema = "SecurityHeaders.json"
    sees_answers = True

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._replace: bool = spec["replace"]
        self._always = [(header, spec[field]) for field, header in _HEADERS.items() if spec[field]]
        self._transport: str = spec["strictTransportSecurity"]
        self._ancestors: str = spec["frameAncestors"]

    async def handle(self, ctx: Context) -> None:
        # An XForwarded behind it may replace what tells the scheme.
        ctx.notes.put(_Asked(asked_scheme(ctx.request)))

    async def on_answer(self, ctx: Context) -> None:
        response = ctx.response
        if not isinstance(response, Response):  # a 101 is shown by no browser
            return
        headers = response.headers
        for name, value in self._always:
            self._write(headers, name, value)
        # RFC 6797 §7.2: never over a connection without TLS.
        if self._transport and ctx.notes[_Asked].scheme == "https":
            self._write(headers, "Strict-Transport-Security", self._transport)
        if self._ancestors and (self._replace or not _says_who_may_frame(headers)):
            options = _FRAME_OPTIONS.get(self._ancestors, "")
            headers.remove("X-Frame-Options")
            if options:
                headers.add("X-Frame-Options", options)
            # A policy beside another one holds as well: nothing of the backend's is lost.
            headers.add("Content-Security-Policy", f"frame-ancestors {self._ancestors}")

    def _write(self, headers: Headers, name: str, value: str) -> None:
        if self._replace or name not in headers:
            headers.set(name, value)


def _says_who_may_frame(headers: Headers) -> bool:
    policies = headers.get_all("content-security-policy")
    return "x-frame-options" in headers or any("frame-ancestors" in text for text in policies)
