"""The dashboard: a page that asks the API, with its style and its modules, as they lie here.

Nothing is made of them: what the browser gets is what is written. `main.js` has their map.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from ...http import Response
from ..operations import Given, Operation

#: The page runs its own modules only, asks this server only, and cannot make HTML out of text.
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_PAGE = "index.html"


def pages() -> Iterator[Operation]:
    """The page at ``/`` and its parts below ``/dashboard``. They need no token: whoever has none
    is asked for it by the page.
    """
    for file in sorted(resources.files(__name__).iterdir(), key=lambda file: file.name):
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            path = "/" if file.name == _PAGE else f"/dashboard/{file.name}"
            run = _answering(file, media_type)
            yield Operation(
                *(f"dashboard:{file.name}", "GET", path, "A part of the dashboard."),
                *(media_type, run),
                access="open",
            )


def _answering(file: Traversable, media_type: str) -> Callable[[Given], Awaitable[Response]]:
    async def answer(given: Given) -> Response:
        fields = [("Content-Type", media_type), ("Content-Security-Policy", _POLICY)]
        return Response(200, fields, content)

    content = file.read_bytes()
    return answer
