"""Both ends of a connection, byte by byte: for what no well-behaved library would send."""

from __future__ import annotations

import contextlib
import socket
import struct
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha1
from types import TracebackType
from typing import NamedTuple, Self

LOOPBACK = "127.0.0.1"
PATIENCE = 60.0
#: The example key of RFC 6455 §1.3, and the answer to it.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

Fields = tuple[tuple[str, str], ...]
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def accept_for(key: str) -> str:
    """RFC 6455 §4.2.2 step 5.4."""
    digest = sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return b64encode(digest).decode()


def head(line: str, fields: Iterable[tuple[str, str]]) -> bytes:
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in fields), "", ""]).encode()


#: What a client's handshake has besides Host.
HANDSHAKE: Fields = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
)


def handshake(path: str, *more: tuple[str, str], fields: Fields = HANDSHAKE) -> bytes:
    return head(f"GET {path} HTTP/1.1", (("Host", "example.test"), *fields, *more))


def frame(opcode: int, payload: bytes = b"", *, masked: bool = True, fin: bool = True) -> bytes:
    """A frame as a client sends it; the mask is zero, so the payload stays readable."""
    mask_bit = 0x80 if masked else 0
    size = len(payload)
    first = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        length = bytes([mask_bit | size])
    elif size < 1 << 16:
        length = bytes([mask_bit | 126]) + size.to_bytes(2)
    else:
        length = bytes([mask_bit | 127]) + size.to_bytes(8)
    return first + length + (bytes(4) if masked else b"") + payload


def close_frame(code: int, reason: str = "", *, masked: bool = True) -> bytes:
    return frame(CLOSE, code.to_bytes(2) + reason.encode(), masked=masked)


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a request or response, and its fields; names in lower case."""

    line: str
    fields: tuple[tuple[str, str], ...]

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name.lower()]

    def __getitem__(self, name: str) -> str:
        """The only value of this field; it must be there, once."""
        (value,) = self.all(name)
        return value


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True

    @property
    def close(self) -> tuple[int, str]:
        """Code and reason of a Close."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2]), self.payload[2:].decode()


class Peer:
    """One end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self) -> Head:
        """The next head."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *lines = raw.decode("latin-1").split("\r\n")
        pairs = (text.partition(":") for text in lines)
        return Head(line, tuple((name.lower(), value.strip()) for name, _, value in pairs))

    def frame(self) -> Frame:
        """The next frame, unmasked."""
        first, second = self._take(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self._take(2 if size == 126 else 8))
        mask = self._take(4) if second & 0x80 else bytes(4)
        payload = self._take(size)
        key = int.from_bytes((mask * (size // 4 + 1))[:size])
        plain = (int.from_bytes(payload) ^ key).to_bytes(size)
        return Frame(first & 0x0F, plain, bool(first & 0x80))

    def receive(self, size: int) -> bytes:
        """The next `size` bytes."""
        return self._take(size)

    def rest(self) -> bytes:
        """All that comes until the other side ends its stream."""
        while data := self.sock.recv(65536):
            self._buffer += data
        data, self._buffer = self._buffer, b""
        return data

    def reset(self) -> None:
        """Leave without a word: the other side sees a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the other side left; it had sent {self._buffer!r}")
        self._buffer += data


class RawBackend:
    """A listening socket whose connections the test answers itself."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self._listener = socket.create_server((host, port))
        self._peers: list[Peer] = []

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def accept(self) -> Peer:
        self._listener.settimeout(PATIENCE)
        sock, _ = self._listener.accept()
        self._peers.append(Peer(sock))
        return self._peers[-1]

    def accept_session(self, *fields: tuple[str, str]) -> tuple[Peer, Head]:
        """Take a connection and agree to its handshake; `fields` stand in the answer besides."""
        peer = self.accept()
        request = peer.head()
        peer.send(answer_101(request, *fields))
        return peer, request

    def was_reached(self) -> bool:
        """Whether a connection waits that nobody took."""
        self._listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self._listener.accept()[0].close()
            return True
        return False

    def close(self) -> None:
        for peer in self._peers:
            peer.close()
        self._listener.close()


def answer_101(request: Head, *fields: tuple[str, str]) -> bytes:
    accept = ("Sec-WebSocket-Accept", accept_for(request["sec-websocket-key"]))
    upgrade = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
    return head("HTTP/1.1 101 Switching Protocols", (*upgrade, accept, *fields))
