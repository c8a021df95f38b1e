"""What tests do with a client's stream."""

from __future__ import annotations

import anyio
from anyio.abc import SocketStream

PATIENCE = 30


async def rest(stream: SocketStream) -> bytes:
    """What comes until the server ends its side; a reset would be an error."""
    data = b""
    with anyio.fail_after(PATIENCE):
        async for piece in stream:
            data += piece
    return data
