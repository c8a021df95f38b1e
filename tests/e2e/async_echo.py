"""A backend for many sessions at once, in a process of its own: it sends messages back.

It prints its port when it listens.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def echo(ws: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        async for message in ws:
            await ws.send(message)


async def main() -> None:
    async with serve(echo, "127.0.0.1", 0, ping_interval=None, compression=None) as server:
        print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.sleep(float("inf"))


if __name__ == "__main__":
    asyncio.run(main())
