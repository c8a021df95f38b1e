"""A peer over a real socket, which can also behave badly.

wsproto speaks for it, somebody else's judge of what easews sends. Know its limits: it takes a ping
between the fragments of a *compressed* message for bad data (1007), and it inflates without bound.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from itertools import count

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from wsproto import WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ..http import Headers
from ..messages import Close, Data
from ..net.waiting import receive, send_all
from .words import Peer

#: Seconds that a test waits for what it expects.
PATIENCE = 5.0
_GONE = (OSError, anyio.ClosedResourceError, LocalProtocolError, RemoteProtocolError)


class SocketPeer(Peer):
    """A client or a backend on a real connection. It answers pings and Closes by itself.

    status       the status of the handshake: 101, or what refused it
    headers      what the other end has sent with it
    target       what was asked for
    subprotocol  what was agreed on; empty if nothing
    deflates     whether permessage-deflate was agreed on
    pings        how many pings have come
    """

    def __init__(self, name: str, sock: socket.socket, protocol: WSConnection) -> None:
        super().__init__(name)
        self.status: int = 0
        self.headers: Headers = Headers()
        self.target: str = ""
        self.subprotocol: str = ""
        self.deflates: bool = False
        self.pings: int = 0
        self._sock = sock
        self._protocol = protocol
        self._news = anyio.Event()
        self._may_read = anyio.Event()
        self._may_read.set()
        self._partial: list[Data] = []
        self._pongs: set[bytes] = set()
        self._ids = count(1)
        self._over = False

    async def sends(self, *messages: Data) -> None:
        """Send these messages. A peer that is gone gets nothing of them, without an error."""
        for data in messages:
            await self._send(_message(data))

    async def sends_fragments(self, *parts: Data) -> None:
        """Send one message whose fragments have these contents."""
        for at, part in enumerate(parts, 1):
            await self._send(_message(part, finished=at == len(parts)))

    async def sends_slowly(self, data: Data, pieces: int, pause: float) -> None:
        """Send one message in so many pieces of its bytes, `pause` seconds apart."""
        frame = self._protocol.send(_message(data))
        size = -(-len(frame) // pieces)
        for at in range(0, len(frame), size):
            await self._write(frame[at : at + size])
            await anyio.sleep(pause)

    async def resets_inside(self, data: Data) -> None:
        """Send half of the frame of this message, then reset the connection."""
        frame = self._protocol.send(_message(data))
        await self._write(frame[: len(frame) // 2])
        await self.vanishes()

    def stops_reading(self) -> None:
        """Read no more; what the kernel has room for is still taken. See `receive_buffer`."""
        if self._may_read.is_set():
            self._may_read = anyio.Event()

    def reads_again(self) -> None:
        """Read on, after `stops_reading`."""
        self._may_read.set()

    async def closes(self, code: int = 1000, reason: str = "") -> None:
        await self._send(CloseConnection(code, reason or None))
        with anyio.move_on_after(PATIENCE):
            while not self._over:
                await self._news.wait()

    async def vanishes(self) -> None:
        """Reset the connection. The session ends with 1006."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.disconnect()
        await checkpoint()

    def disconnect(self) -> None:
        """Close the connection as it is."""
        if self._sock.fileno() >= 0:
            anyio.notify_closing(self._sock)
            self._sock.close()
        self._is_over()

    async def news(self) -> str:
        with anyio.move_on_after(PATIENCE):
            while not self.heard and not self._over:
                await self._news.wait()
        if self.heard:
            return ""
        return "has closed the connection" if self._over else "received nothing"

    async def rest(self) -> None:
        """Send a ping, and wait for its pong: what was sent before that has come then."""
        wanted = b"rest %d" % next(self._ids)
        await self._send(Ping(wanted))
        with anyio.move_on_after(PATIENCE):
            while wanted not in self._pongs and not self._over:
                await self._news.wait()

    # What comes

    def start(self, tasks: TaskGroup) -> None:
        """For the kit: read from now on."""
        tasks.start_soon(self._read)

    async def _read(self) -> None:
        try:
            for event in self._events():
                await self._on(event)
            while not self._over:
                await self._may_read.wait()
                data = await receive(self._sock)
                self._protocol.receive_data(data or None)
                for event in self._events():
                    await self._on(event)
                await checkpoint()
        except _GONE:
            self._closed(Close(1006))
            self._is_over()

    def _events(self) -> Iterator[Event]:
        return self._protocol.events()

    async def _on(self, event: Event) -> None:
        if isinstance(event, (TextMessage, BytesMessage)):
            self._partial.append(
                event.data if isinstance(event, TextMessage) else bytes(event.data)
            )
            if event.message_finished:
                parts, self._partial = self._partial, []
                self._hear(_joined(parts))
        elif isinstance(event, Ping):
            self.pings += 1
            await self._send(event.response())
        elif isinstance(event, Pong):
            self._pongs.add(bytes(event.payload))
            self._tell()
        elif isinstance(event, CloseConnection):
            await self._on_close(event)

    async def _on_close(self, event: CloseConnection) -> None:
        self._closed(Close(event.code, event.reason or ""))
        if self._protocol.state is ConnectionState.REMOTE_CLOSING:
            await self._send(event.response())
        if self.name == "client":  # the server closes first (RFC 6455 §7.1.1)
            with anyio.move_on_after(PATIENCE), contextlib.suppress(*_GONE):
                while await receive(self._sock):
                    pass
        self.disconnect()

    def _closed(self, close: Close) -> None:
        if not self._over and not (self.heard and isinstance(self.heard[-1], Close)):
            self._hear(close)

    def _hear(self, what: Data | Close) -> None:
        self.heard.append(what)
        self._tell()

    def _is_over(self) -> None:
        self._over = True
        self._may_read.set()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    # What is sent

    async def _send(self, event: Event) -> None:
        with contextlib.suppress(LocalProtocolError):
            await self._write(self._protocol.send(event))

    async def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError, anyio.ClosedResourceError):
            await send_all(self._sock, data)


def _message(data: Data, finished: bool = True) -> Message[str] | Message[bytes | bytearray]:
    if isinstance(data, str):
        return TextMessage(data, message_finished=finished)
    return BytesMessage(data, message_finished=finished)


def _joined(parts: list[Data]) -> Data:
    if isinstance(parts[0], str):
        return "".join(part for part in parts if isinstance(part, str))
    return b"".join(part for part in parts if isinstance(part, bytes))
