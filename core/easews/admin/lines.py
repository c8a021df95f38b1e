"""An answer that goes on: a line of JSON for each value."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from ..http import Response

LINES = "application/x-ndjson"

Values = AsyncGenerator[dict[str, Any], None]


async def lines(values: Values) -> Response:
    """All of `values`, as they come. Raises what is raised in place of the first one."""
    first = await anext(values)
    return Response(
        200, [("Content-Type", LINES)], body=_written(first, values), on_close=values.aclose
    )


async def _written(first: dict[str, Any], rest: Values) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        yield _line(first)
        async for value in rest:
            yield _line(value)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
