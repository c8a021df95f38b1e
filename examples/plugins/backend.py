"""A backend to try the examples with: `python backend.py PORT [NAME]`.

It prints each message and sends it back. A request without a WebSocket gets its name. It needs
`pip install websockets`.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


async def main(port: int, name: str) -> None:
    async def echo(client: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in client:
                print(f"{name} got {message!r}", flush=True)
                await client.send(message)

    def page(connection: ServerConnection, request: Request) -> Response | None:
        is_socket = "Upgrade" in request.headers
        return None if is_socket else connection.respond(HTTPStatus.OK, f"{name}\n")

    async with serve(echo, "127.0.0.1", port, process_request=page) as server:
        print(f"{name} on {port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), (sys.argv[2:] or ["backend"])[0]))
