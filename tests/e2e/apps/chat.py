"""A socket.io server: what one says all hear, and the sender is told how long it was."""

from __future__ import annotations

import socketio

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server)


async def say(sid: str, words: str) -> int:
    await server.emit("said", words)
    return len(words)


server.on("say", say)
