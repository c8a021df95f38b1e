"""Page for easews: a web page to try a WebSocketProxy with. This file is the complete filter."""

from __future__ import annotations

from importlib import resources

from easews import Context, Filter, Response, hookimpl

PAGE = (resources.files(__name__) / "page.html").read_bytes()
HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-cache")]


class Page(Filter):
    """Answers GET with a page that uses the WebSocket at /ws; other requests go on."""

    kind = "Page"

    async def handle(self, ctx: Context) -> None:
        if ctx.request.method in ("GET", "HEAD") and not ctx.request.wants_upgrade:
            ctx.response = Response(200, HEADERS, PAGE)


@hookimpl
def easews_filters() -> list[type[Filter]]:
    return [Page]
