"""One check of a server, on a connection of its own that is dialled as any other.

httpcore and wsproto read the answers. These requests are our own and few: what counts is care, and
not the speed that clients' requests need.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from math import inf

import anyio
import httpcore
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
)
from wsproto.utilities import ProtocolError

from ...addresses import bracketed
from ...errors import BadAnswer, ConnectError, UpstreamTimeout
from ...http import Headers
from ...net.waiting import linger, receive, send_all
from ...net.wire import Wire
from ..dialling.dial import dial
from ..dialling.securing import why_lost
from ..servers import Server
from .checks import BODY, Check, HttpCheck, TcpCheck, WsCheck

AGENT = "easews-health-check"
#: Seconds for which a server that has passed may take to end its connection.
LINGER = 0.5
NORMAL_CLOSURE = 1000

_PING = b"easews"


async def probe(server: Server, check: Check) -> None:
    """Check `server` once. UpstreamError, which says why, when that has failed."""
    target = replace(server, port=check.port) if check.port else server
    with anyio.move_on_after(check.timeout):
        wire = await dial(target)
        try:
            await _ask(wire, target, check)
        except OSError as error:
            raise ConnectError(why_lost(error)) from None
        finally:
            wire.close()
        return
    raise UpstreamTimeout(f"no answer within {check.timeout:g} s")


async def _ask(wire: Wire, server: Server, check: Check) -> None:
    way = check.way
    if isinstance(way, TcpCheck):
        return
    if isinstance(way, HttpCheck):
        await _ask_http(wire, server, way)
    else:
        await _ask_ws(wire, server, way)
    with anyio.CancelScope(shield=True):  # it has passed, though its time may be over meanwhile
        await linger(wire, LINGER)


async def _ask_http(wire: Wire, server: Server, way: HttpCheck) -> None:
    host, headers = _headers(server, [*way.headers, ("Connection", "close")])
    path = way.path or server.path or "/"
    url = httpcore.URL(scheme="http", host=server.host, port=server.port, target=path)
    request = httpcore.Request(way.method, url, headers=[("Host", host), *headers])
    stream = _Stream(wire)
    try:
        async with httpcore.AsyncHTTP11Connection(url.origin, stream) as connection:
            answer = await connection.handle_async_request(request)
            fault = await _fault(answer, stream, way)
    except httpcore.NetworkError as error:
        raise ConnectError(str(error)) from None
    except httpcore.ProtocolError as error:
        raise BadAnswer(f"its answer is refused: {error}") from None
    if fault:
        shown = path.partition("?")[0]  # a query may have a secret in it
        raise BadAnswer(f"it answers {way.method} {shown} with {fault}")


async def _fault(answer: httpcore.Response, stream: _Stream, way: HttpCheck) -> str:
    """Why the answer does not pass; empty when it does."""
    if not way.passes(answer.status):
        return f"{answer.status}"
    if way.answered is not None and not way.answered.fits(_fields(answer)):
        return "headers that do not match"
    if way.body is not None and not way.body.fits(await _text(answer, stream)):
        return "a body that does not match"
    return ""


def _fields(answer: httpcore.Response) -> Headers:
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
    return Headers.parsed([(name.lower(), name, value) for name, value in pairs])


async def _text(answer: httpcore.Response, stream: _Stream) -> str:
    """The first `BODY` bytes of the body."""
    body = b""
    with suppress(_Enough):
        async for part in answer.stream:  # type: ignore[union-attr]
            body += part
            stream.is_read = len(body) >= BODY
    return body[:BODY].decode("utf-8", "replace")


class _Enough(Exception):
    """Ends the reading of a body from within: httpcore's iterators do not like to be left."""


async def _ask_ws(wire: Wire, server: Server, way: WsCheck) -> None:
    host, headers = _headers(server, way.headers)
    extra = [(name.encode(), value.encode()) for name, value in headers]
    path = way.path or server.path or "/"
    socket = _WebSocket(wire)
    try:
        await socket.send(Request(host=host, target=path, extra_headers=extra))
        await socket.until(AcceptConnection)
        if way.ping:
            await socket.send(Ping(_PING))
            await socket.until(Pong)
        await socket.send(CloseConnection(NORMAL_CLOSURE))
    except ProtocolError as error:
        raise BadAnswer(f"its answer is refused: {error}") from None


def _headers(
    server: Server, headers: Iterable[tuple[str, str]]
) -> tuple[str, list[tuple[str, str]]]:
    """The Host to send, and the other headers."""
    given = {name.lower(): value for name, value in headers}
    own = "localhost" if server.is_unix else f"{bracketed(server.host)}:{server.port}"
    host = given.pop("host", server.own_host or own)
    return host, [*{"user-agent": AGENT, **given}.items()]


class _WebSocket:
    """A WebSocket client on a wire, as far as a check needs one."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._connection = WSConnection(ConnectionType.CLIENT)

    async def send(self, event: Event) -> None:
        await send_all(self._wire, self._connection.send(event))

    async def until(self, kind: type[Event]) -> None:
        """Read on until there is an event of this kind; messages may come before it."""
        while True:
            for event in self._connection.events():
                if isinstance(event, kind):
                    return
                if isinstance(event, RejectConnection):
                    raise BadAnswer(f"it answers the handshake with {event.status_code}")
                if isinstance(event, CloseConnection):
                    raise BadAnswer(f"the session has ended with {event.code}")
            data = await receive(self._wire)
            if not data:
                raise ConnectError("it has closed the connection without an answer")
            self._connection.receive_data(data)


class _Stream(httpcore.AsyncNetworkStream):
    """A wire for httpcore. It stays open: whoever has dialled it closes it.

    is_read  whether nobody wants more of it; then reading raises _Enough
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.is_read = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.is_read:
            raise _Enough
        try:
            return await receive(self._wire, inf if timeout is None else timeout)
        except OSError as error:
            raise httpcore.ReadError(why_lost(error)) from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await send_all(self._wire, buffer, inf if timeout is None else timeout)
        except OSError as error:
            raise httpcore.WriteError(why_lost(error)) from None

    async def aclose(self) -> None:
        pass

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise NotImplementedError  # `dial` does that

    def get_extra_info(self, info: str) -> None:
        return None
