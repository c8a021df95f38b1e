"""One connection: a request and its answer, then frames, for which wsproto speaks."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

import anyio
from anyio.abc import ByteStream
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from ...http.h1 import (
    BodyError,
    BodyReader,
    HeadError,
    ResponseHead,
    find_head_end,
    parse_response_head,
    response_framing,
)
from .seen import Answer, Handshake, Heard, IdleSeen, Lost, SessionSeen
from .wires import Gone, told_as_gone

#: How much of an answer is looked at.
_HEAD, _BODY = 64 * 1024, 16 * 1024
#: How much of the messages is kept, from one that is waited for on: the rest is only counted.
_KEPT = 1024 * 1024
#: Seconds for which the rest of a body is waited for.
_REST = 1.0
_PING = b"easews doctor"
#: Seconds for which a server may speak first, or end a session at once.
_FIRST = 0.2


async def ask(stream: ByteStream, request: bytes, timeout: float) -> tuple[Heard, bytes]:
    """The answer to `request`, and what came behind an answer 101."""
    got = bytearray()
    try:
        with anyio.fail_after(timeout), told_as_gone():
            await stream.send(request)
            head = await _head(stream, got)
            body = await _body(stream, got, head)
    except Gone as gone:
        return _lost(gone, bytes(got)), b""
    except TimeoutError:
        part = ", only a part of a head" if got else ""
        return Lost("silent", f"no answer within {timeout:g} s{part}"), b""
    except HeadError as error:
        return Lost("malformed", f"{error}: {bytes(got[:40])!r}"), b""
    rest = bytes(got) if head.status == 101 else b""
    return Answer(head.status, head.reason, head.version, head.headers, body), rest


def _lost(gone: Gone, got: bytes) -> Lost:
    if got:
        return Lost("malformed", f"the answer ends inside its head: {got[:40]!r}")
    if gone.how == "reset":
        return Lost("reset", "the connection was reset before any answer")
    return Lost("closed", "the connection was closed before any answer")


async def _head(stream: ByteStream, got: bytearray) -> ResponseHead:
    """The next head that is not informational. What follows it stays in `got`."""
    while True:
        end = find_head_end(got)
        if end < 0:
            if len(got) > _HEAD:
                raise HeadError(502, "the head of the answer has no end")
            got += await stream.receive()
            continue
        head = parse_response_head(bytes(got[:end]))
        del got[:end]
        if head.status >= 200 or head.status == 101:
            return head


async def _body(stream: ByteStream, got: bytearray, head: ResponseHead) -> bytes:
    """The beginning of the body, as far as it comes."""
    if head.status == 101:
        return b""
    body = b""
    with suppress(Gone, HeadError, BodyError), anyio.move_on_after(_REST), told_as_gone():
        reader = BodyReader(response_framing(head, "GET"))
        body += reader.feed(bytes(got))
        while not reader.done and len(body) < _BODY:
            body += reader.feed(await stream.receive())
    return body[:_BODY]


class Session:
    """A WebSocket session behind its handshake. It answers pings and keeps what comes.

    messages  those that came, in one piece each, or the beginning where they are too large
    pings     how many came
    close     the Close that came, or None
    gone      whether nothing comes any more
    malformed why what came are no frames
    """

    def __init__(self, stream: ByteStream, handshake: Handshake, rest: bytes) -> None:
        self._stream = stream
        extensions = [_agreed(handshake.deflate)] if handshake.deflate is not None else []
        self._protocol = Connection(ConnectionType.CLIENT, [*extensions], rest)
        self._partial: list[str | bytes] = []
        self._room = _KEPT
        self.messages: list[str | bytes] = []
        self.pongs: int = 0
        self.pings: int = 0
        self.close: CloseConnection | None = None
        self.gone: bool = False
        self.malformed: str = ""

    @property
    def over(self) -> bool:
        return self.gone or self.close is not None

    async def send(self, event: Event) -> None:
        """Send it, if that is still possible."""
        try:
            with told_as_gone():
                await self._stream.send(self._protocol.send(event))
        except (Gone, LocalProtocolError):
            self.gone = self.gone or self.close is None

    async def pump(self) -> None:
        """Handle the frames that have been received, else wait for more bytes."""
        try:
            if await self._take():
                return
            with told_as_gone():
                data = await self._stream.receive()
            self._protocol.receive_data(data)
            await self._take()
        except Gone:
            self.gone = True
        except RemoteProtocolError as error:
            self.gone, self.malformed = True, str(error)

    async def _take(self) -> bool:
        events = [*self._protocol.events()]
        for event in events:
            if isinstance(event, (TextMessage, BytesMessage)):
                self._message(event)
            elif isinstance(event, Ping):
                self.pings += 1
                await self.send(event.response())
            elif isinstance(event, Pong):
                self.pongs += event.payload == _PING
            elif isinstance(event, CloseConnection):
                self._closed(event)
        return bool(events)

    def _closed(self, event: CloseConnection) -> None:
        """A Close, or a malformed frame, for which wsproto has the same event."""
        if self._protocol.state in (ConnectionState.REMOTE_CLOSING, ConnectionState.CLOSED):
            self.close = event
        else:
            self.gone, self.malformed = True, event.reason or "a frame is malformed"

    def _message(self, event: TextMessage | BytesMessage) -> None:
        if self._room:
            data = event.data if isinstance(event.data, str) else bytes(event.data)
            self._partial.append(data[: self._room])
            self._room -= len(self._partial[-1])
        if event.message_finished:
            parts, self._partial = self._partial, []
            text = "".join(part for part in parts if isinstance(part, str))
            self.messages.append(text or b"".join(p for p in parts if isinstance(p, bytes)))

    async def ping(self, timeout: float) -> float | None:
        """Seconds from a ping to its pong; None when none comes."""
        started, before = monotonic(), self.pongs
        await self.send(Ping(_PING))
        with anyio.move_on_after(timeout):
            while self.pongs == before and not self.over:
                await self.pump()
        return monotonic() - started if self.pongs > before else None

    async def quiet(self, seconds: float) -> None:
        """Wait so long, or until the peer ends it."""
        with anyio.move_on_after(seconds):
            while not self.over:
                await self.pump()

    async def reply(self, text: str, timeout: float) -> str | None:
        """The next message after this one was sent."""
        before, self._room = len(self.messages), _KEPT
        await self.send(Message(text))
        with anyio.move_on_after(timeout):
            while len(self.messages) == before and not self.over:
                await self.pump()
        if len(self.messages) == before:
            return None
        got = self.messages[before]
        return got if isinstance(got, str) else got.decode("utf-8", "backslashreplace")

    async def end(self, timeout: float) -> None:
        """Close with 1000, and wait for the peer's Close."""
        await self.send(CloseConnection(1000))
        await self.quiet(timeout)


def _agreed(parameters: str) -> PerMessageDeflate:
    extension = PerMessageDeflate()
    with suppress(ValueError, IndexError):  # a server's mistake; then frames will tell
        extension.finalize(f"permessage-deflate; {parameters}")
    return extension


async def try_session(
    session: Session, timeout: float, text: str | None, expect: str | None
) -> SessionSeen:
    """A ping, a message if there is a `text`, and a Close."""
    await session.quiet(_FIRST)
    unasked = len(session.messages)
    early, pong, reply = session.over, None, None
    if not early:
        pong = await session.ping(timeout)
        if text is not None:
            reply = await session.reply(text, timeout)
        early = session.over and pong is None and not session.malformed
    if not session.over:
        await session.end(timeout)
    fits = reply is None or expect is None or expect in reply
    code = session.close.code if session.close else None
    reason = (session.close.reason or "") if session.close else ""
    return SessionSeen(
        *(pong, unasked, text is not None, reply, fits),
        *(code, reason, early, session.malformed),
    )


async def try_idle(session: Session, seconds: float, timeout: float) -> IdleSeen:
    """A session in which this client sends nothing for so long."""
    started = monotonic()
    await session.quiet(seconds)
    if session.over:
        code = session.close.code if session.close else None
        return IdleSeen(seconds, monotonic() - started, code, session.pings)
    pong = await session.ping(timeout)
    await session.end(timeout)
    return IdleSeen(seconds, pings=session.pings, pong=pong is not None)
