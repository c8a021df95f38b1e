"""A proxy as one writes it with `websockets`, which counts messages and compresses them where the
client does: `websockets_proxy.py PORT BACKEND_PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

seen: Counter[type] = Counter()


async def pump(source: Connection, target: Connection) -> None:
    try:
        async for message in source:
            seen[type(message)] += 1
            await target.send(message)
    except ConnectionClosed:
        pass
    finally:
        await target.close()


async def main(port: int, backend_port: int) -> None:
    backend = f"ws://127.0.0.1:{backend_port}/ws"

    async def relay(client: ServerConnection) -> None:
        compression = "deflate" if client.protocol.extensions else None
        async with connect(backend, compression=compression, max_size=None, proxy=None) as server:
            await asyncio.gather(pump(client, server), pump(server, client))

    async with serve(relay, "127.0.0.1", port, max_size=None, backlog=4096) as listener:
        await listener.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
