"""A small server that speaks as realtime model APIs do: `python server.py PORT KEY`.

It needs `pip install websockets`. Its answer to ``{"type": "response.create", "input": TEXT}`` is
TEXT in capitals, word by word, and each word costs 10 tokens.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

TOKENS_PER_WORD = 10


async def talk(client: ServerConnection) -> None:
    await client.send(json.dumps({"type": "session.created"}))
    with suppress(ConnectionClosed):
        async for message in client:
            event = json.loads(message)
            if event["type"] == "response.create":
                for answer in answers(event["input"]):
                    await client.send(json.dumps(answer))


def answers(text: str) -> Iterator[dict[str, Any]]:
    """The events of one answer; the last one says what it has cost."""
    words = text.upper().split()
    yield {"type": "response.created"}
    for word in words:
        yield {"type": "response.output_text.delta", "delta": word}
    usage = {"total_tokens": TOKENS_PER_WORD * len(words)}
    yield {"type": "response.done", "response": {"usage": usage}}


async def main(port: int, key: str) -> None:
    def check(connection: ServerConnection, request: Request) -> Response | None:
        """Handshakes without the key are refused."""
        if request.headers.get_all("Authorization") == [f"Bearer {key}"]:
            return None
        return connection.respond(HTTPStatus.UNAUTHORIZED, "no such key\n")

    async with serve(talk, "127.0.0.1", port, process_request=check) as server:
        print(f"model on {port}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
