"""A proxy as one writes it with aiohttp, which counts messages and compresses them where the client
does: `aiohttp_proxy.py PORT BACKEND_PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import TypeAlias

import aiohttp
import uvloop
from aiohttp import web

Socket: TypeAlias = web.WebSocketResponse | aiohttp.ClientWebSocketResponse

seen: Counter[aiohttp.WSMsgType] = Counter()


async def pump(source: Socket, target: Socket) -> None:
    async for message in source:
        seen[message.type] += 1
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
    await target.close()


async def main(port: int, backend_port: int) -> None:
    backend = f"ws://127.0.0.1:{backend_port}/ws"
    connector = aiohttp.TCPConnector(limit=0)

    async with aiohttp.ClientSession(connector=connector) as session:

        async def relay(request: web.Request) -> web.WebSocketResponse:
            client = web.WebSocketResponse(max_msg_size=0)
            await client.prepare(request)
            bits = 15 if client.compress else 0
            async with session.ws_connect(backend, compress=bits, max_msg_size=0) as server:
                await asyncio.gather(pump(client, server), pump(server, client))
            return client

        app = web.Application()
        app.router.add_get("/ws", relay)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
