"""ResponseAdaptor: headers of the answer, whoever gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from easews import Context, Filter, HeaderChanges, SpecFault

# What a session's two ends have agreed on by the time that there is an answer.
_AGREED = ("sec-websocket-extensions", "sec-websocket-protocol")


class ResponseAdaptor(Filter):
    """Changes the headers of the answer, also of the 101 that opens a WebSocket."""

    kind = "ResponseAdaptor"
    api = 1
    schema = "ResponseAdaptor.json"
    # Behind a proxy, too: `on_answer` is called for it when the flow has come so far.
    sees_answers = True

    @classmethod
    def check(cls, spec: Mapping[str, Any]) -> Iterable[SpecFault]:
        return HeaderChanges.faults(spec["header"], ("header",), _AGREED)

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        super().__init__(name, spec)
        self._changes = HeaderChanges(spec["header"])

    async def handle(self, ctx: Context) -> None:
        pass

    async def on_answer(self, ctx: Context) -> None:
        if ctx.response is not None:
            self._changes.apply(ctx.response.headers, ctx)
