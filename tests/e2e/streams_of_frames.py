"""Sessions whose bytes are known beforehand, both ways: a byte that is lost, doubled or in another
place is noticed, whatever the frames are.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from websockets.frames import Frame, Opcode

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def _whole(size: int, count: int = 1) -> list[Frame]:
    return [Frame(Opcode.BINARY, random.Random(at).randbytes(size)) for at in range(count)]


def _fragments() -> list[Frame]:
    """Fragments of all sizes, and pings between them."""
    parts = [random.Random(size).randbytes(size) for size in (0, 5, 3_000, 70_000)]
    first, *middle = (Frame(Opcode.CONT, part, fin=False) for part in parts)
    pings = [Frame(Opcode.PING, b"in between")] * 3
    between = [each for pair in zip(pings, middle, strict=True) for each in pair]
    return [Frame(Opcode.TEXT, first.data, fin=False), *between, Frame(Opcode.CONT, b"end")]


#: What sessions send, over and over.
SORTS: Mapping[str, list[Frame]] = {
    "small": _whole(20, 10),
    "medium": _whole(3_000, 3),
    "large": _whole(300_000),
    "fragments": _fragments(),
    "deflate": [Frame(Opcode.TEXT, b"\xcaH\xcd\xc9\xc9\x07\x00")] * 5,
    "slow": _whole(60_000, 2),
}


def _block(sort: str, masks: bool) -> bytes:
    frames = [bytearray(frame.serialize(mask=masks)) for frame in SORTS[sort]]
    if sort == "deflate":
        for frame in frames:
            frame[0] |= 0x40  # RSV1: it is compressed
    return b"".join(frames)


BLOCKS = {(sort, masks): _block(sort, masks) for sort in SORTS for masks in (True, False)}


@dataclass
class End:
    """One end of a session: sends its block over and over, and checks that the other's comes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sort: str
    masks: bool
    faults: list[str] = field(default_factory=list)
    sent: int = 0
    received: int = 0
    stopping: bool = False

    async def send(self, seed: int) -> None:
        block, chance = BLOCKS[self.sort, self.masks], random.Random(seed)
        try:
            while not (self.stopping and self.sent % len(block) == 0):
                at = self.sent % len(block)
                piece = block[at : at + chance.choice((1, 7, 100, 5_000, 50_000))]
                self.writer.write(piece)
                self.sent += len(piece)
                await self.writer.drain()
                await asyncio.sleep(chance.random() / 20)
        except OSError as error:
            self.faults.append(f"{self.sort}: {error}")

    async def receive(self) -> None:
        block = BLOCKS[self.sort, not self.masks]
        try:
            while data := await self.reader.read(65536):
                at = self.received % len(block)
                copies = len(data) // len(block) + 2
                if data != (block * copies)[at : at + len(data)]:
                    self.faults.append(f"{self.sort}: other bytes than were sent")
                    return
                self.received += len(data)
                if self.sort == "slow":
                    await asyncio.sleep(0.3)
        except OSError as error:
            self.faults.append(f"{self.sort}: {error}")
        if not self.stopping:
            self.faults.append(f"{self.sort}: it has ended")


class Sessions:
    """Sessions of all sorts through the gateway at `port`."""

    def __init__(self) -> None:
        self.stopping = False
        self.faults: list[str] = []
        self.backends: dict[str, End] = {}
        self.clients: dict[str, End] = {}
        self._senders: list[asyncio.Task[None]] = []
        self._receivers: list[asyncio.Task[None]] = []

    async def serve(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", port, backlog=1000)

    async def open(self, port: int, count: int) -> None:
        for number in range(count):
            sort = [*SORTS][number % len(SORTS)]
            reader, writer = await self.connect(port, f"/{sort}/{number}", sort)
            self.clients[f"/{sort}/{number}"] = End(reader, writer, sort, True, self.faults)
        for number, (path, client) in enumerate(self.clients.items()):
            for at, end in enumerate((client, self.backends[path])):
                self._start(end, 2 * number + at)

    async def connect(
        self, port: int, path: str, sort: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(bytes(16)).decode()
        offer = _DEFLATE if sort == "deflate" else ""
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n{offer}\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return reader, writer

    async def come_and_go(self, port: int) -> None:
        """Connect one after the other, and leave, until it stops."""
        for number in count():
            if self.stopping:
                return
            path = f"/small/new-{number}-{id(asyncio.current_task())}"
            reader, writer = await self.connect(port, path, "small")
            with suppress(TimeoutError):
                self.faults.append(f"got {await asyncio.wait_for(reader.read(100), 0.02)!r}")
            writer.close()
            self.backends.pop(path).writer.close()

    async def stop(self) -> None:
        """Have everybody come to the end of a block, and wait until all of it has come."""
        for ends in (self.clients, self.backends):
            for end in ends.values():
                end.stopping = True
        async with asyncio.timeout(120):
            await asyncio.gather(*self._senders)
            while not self.faults and not all(  # noqa: ASYNC110
                self.clients[path].received == self.backends[path].sent
                and self.backends[path].received == self.clients[path].sent
                for path in self.clients
            ):
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        ends = [*self.clients.values(), *self.backends.values()]
        for end in ends:
            end.stopping = True
            end.writer.transport.abort()
        await asyncio.gather(*self._senders, *self._receivers)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = re.search(rb"(?im)^sec-websocket-key: *(\S+)", head)
        path = head.split()[1].decode()
        assert key is not None
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest()).decode()
        agreed = _DEFLATE if b"permessage-deflate" in head else ""
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n{agreed}\r\n".encode()
        )
        self.backends[path] = End(reader, writer, path.split("/")[1], False, self.faults)

    def _start(self, end: End, seed: int) -> None:
        self._senders.append(asyncio.create_task(end.send(seed)))
        self._receivers.append(asyncio.create_task(end.receive()))
