"""One check of a server, on real sockets."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from easews import HeaderMatch, UpstreamError
from easews.http.matching import TextMatch
from easews.upstream import Server
from easews.upstream.health.checks import BODY, Check, HttpCheck, TcpCheck, Way, WsCheck
from easews.upstream.health.probes import probe

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SWITCH = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
SILENT = b"silent"


class Backend:
    """A server that answers every request with the same bytes, and keeps what was sent to it."""

    def __init__(self, port: int, answer: bytes) -> None:
        self.port = port
        self.answer = answer
        self.received: list[bytes] = []

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            try:
                head = await stream.receive()
                while b"\r\n\r\n" not in head:
                    head += await stream.receive()
                self.received.append(head)
                if self.answer is SILENT:
                    await anyio.sleep_forever()
                if self.answer.startswith(SWITCH):
                    await self._switch(stream, head)
                else:
                    await stream.send(self.answer)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass

    async def _switch(self, stream: SocketStream, head: bytes) -> None:
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
        assert key is not None
        guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key[1] + guid).digest())
        rest = self.answer.removeprefix(SWITCH)
        await stream.send(SWITCH + accept + b"\r\n\r\n" + rest)
        while True:
            self.received.append(await stream.receive())


@asynccontextmanager
async def backend(answer: bytes = OK) -> AsyncIterator[Backend]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    peer = Backend(listener.extra(SocketAttribute.local_port), answer)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, peer.serve)
        yield peer
        tasks.cancel_scope.cancel()


async def check(peer: Backend, way: Way, *, path: str = "", timeout: float = 10) -> str:
    """Why the check has failed; empty when it has passed."""
    server = Server.at(f"ws://127.0.0.1:{peer.port}{path}")
    try:
        await probe(server, Check(way, timeout=timeout))
    except UpstreamError as error:
        return str(error)
    return ""


def unmasked(frame: bytes) -> tuple[int, bytes]:
    """The opcode and the payload of a short frame of a client."""
    mask, payload = frame[2:6], frame[6 : 6 + (frame[1] & 127)]
    return frame[0] & 15, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


async def test_a_connection_is_enough_for_tcp() -> None:
    async with backend(SILENT) as peer:
        assert await check(peer, TcpCheck()) == ""
        assert peer.received == []


async def test_a_server_that_refuses_fails_whatever_it_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gone = Backend(listening.getsockname()[1], OK)
    for way in (TcpCheck(), HttpCheck(), WsCheck()):
        assert "Connection refused" in await check(gone, way)


async def test_an_http_check_asks_as_its_config_says() -> None:
    async with backend() as peer:
        assert await check(peer, HttpCheck(), path="/base") == ""
        way = HttpCheck("/healthz?deep=1", "OPTIONS", (("X-Probe", "1"), ("Host", "chat.test")))
        assert await check(peer, way) == ""
    default, own = peer.received
    assert default.split(b"\r\n") == [
        b"GET /base HTTP/1.1",
        b"Host: 127.0.0.1:%d" % peer.port,
        b"user-agent: easews-health-check",
        b"connection: close",
        b"",
        b"",
    ]
    assert own.startswith(b"OPTIONS /healthz?deep=1 HTTP/1.1\r\nHost: chat.test\r\n")
    assert b"x-probe: 1\r\n" in own


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, ""),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "it answers GET / with 503"),
        (b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n", "it answers GET / with 404"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "its answer is refused: illegal status line"),
        (b"", "its answer is refused: Server disconnected without sending a response"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000, "its answer is refused: "),
    ],
)
async def test_an_http_check_passes_with_a_status_that_does(answer: bytes, cause: str) -> None:
    async with backend(answer) as peer:
        found = await check(peer, HttpCheck())
    assert found.startswith(cause)
    assert bool(found) is bool(cause)


def answer(body: bytes, *fields: bytes) -> bytes:
    head = (b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields)
    return b"\r\n".join((*head, b"", body))


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ((b"X-Ready: yes", b"X-Node: blue-1"), True),
        ((b"X-Ready: no", b"x-ready: yes", b"X-Node: blue-2"), True),
        ((b"X-Ready: yes", b"X-Node: green-1"), False),
        ((b"X-Ready: yes", b"X-Node: blue-1", b"X-Fault: disk"), False),
        ((), False),
    ],
)
async def test_an_http_check_may_want_headers(fields: tuple[bytes, ...], passes: bool) -> None:
    wanted: dict[str, dict[str, Any]] = {
        "X-Ready": {"exact": "yes", "empty": False},
        "X-Node": {"regex": "^blue-", "empty": False},
        "X-Fault": {"empty": True},
    }
    way = HttpCheck(answered=HeaderMatch(wanted, match_all=True))
    async with backend(answer(b"ok", *fields)) as peer:
        found = await check(peer, way)
    assert found == ("" if passes else "it answers GET / with headers that do not match")


@pytest.mark.parametrize(
    ("sent", "wanted", "passes"),
    [
        (answer(b'{"status": "ready"}'), {"contains": '"ready"'}, True),
        (answer(b'{"status": "starting"}'), {"contains": '"ready"'}, False),
        (answer(b"db: ok\ncache: ok\n"), {"regex": "cache: (ok|warm)"}, True),
        (answer("bereit für alle".encode()), {"contains": "für"}, True),
        (answer(b"\xff ready"), {"contains": "ready"}, True),
        (answer(b""), {"contains": "ready"}, False),
        (answer(b"x" * (BODY - 5) + b"ready"), {"contains": "ready"}, True),
        (answer(b"x" * (BODY - 4) + b"ready"), {"contains": "ready"}, False),
        (b"HTTP/1.1 200 OK\r\n\r\nready", {"contains": "ready"}, True),
        (b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nready", {"contains": "ready"}, False),
    ],
)
async def test_an_http_check_may_want_a_body(
    sent: bytes, wanted: dict[str, str], passes: bool
) -> None:
    async with backend(sent) as peer:
        assert (await check(peer, HttpCheck(body=TextMatch(wanted))) == "") is passes


async def test_of_a_body_that_does_not_end_only_the_beginning_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nready"
    async with backend(head + b"x" * 4 * BODY) as peer:
        assert await check(peer, HttpCheck(body=TextMatch({"contains": "ready"}))) == ""
        found = await check(peer, HttpCheck(body=TextMatch({"contains": "set"})))
        assert found == "it answers GET / with a body that does not match"


async def test_a_body_that_breaks_off_has_failed() -> None:
    async with backend(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nready") as peer:
        found = await check(peer, HttpCheck(body=TextMatch({"contains": "ready"})))
    assert found.startswith("its answer is refused: ")


async def test_the_query_of_a_check_is_not_shown() -> None:
    async with backend(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n") as peer:
        assert await check(peer, HttpCheck("/h?token=x")) == "it answers GET /h with 403"


@pytest.mark.parametrize("way", [HttpCheck(), WsCheck(ping=True)])
async def test_a_server_that_does_not_answer_in_time_has_failed(way: Way) -> None:
    async with backend(SILENT) as peer:
        assert await check(peer, way, timeout=0.1) == "no answer within 0.1 s"


async def test_a_websocket_check_opens_a_session_and_closes_it() -> None:
    async with backend(SWITCH) as peer:
        way = WsCheck("/ws", (("Origin", "https://chat.test"), ("host", "chat.test")))
        assert await check(peer, way) == ""
        while len(peer.received) < 2:
            await anyio.lowlevel.checkpoint()
    head, close = peer.received
    assert head.startswith(b"GET /ws HTTP/1.1\r\nHost: chat.test\r\n")
    assert b"origin: https://chat.test\r\n" in head
    assert unmasked(close) == (8, b"\x03\xe8")


async def test_a_pong_is_awaited_whatever_comes_before_it() -> None:
    async with backend(SWITCH + b"\x81\x02hi\x89\x00\x8a\x06easews") as peer:
        assert await check(peer, WsCheck(ping=True)) == ""
    assert unmasked(peer.received[1]) == (9, b"easews")


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (OK, "it answers the handshake with 200"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "it answers the handshake with 403"),
        (b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "its answer is"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "its answer is refused: "),
        (b"", "it has closed the connection without an answer"),
        (SWITCH + b"\x88\x02\x03\xf3", "the session has ended with 1011"),
        (SWITCH + b"\x8b\x00", "the session has ended with 1002"),
    ],
)
async def test_a_websocket_check_fails_without_a_session(answer: bytes, cause: str) -> None:
    async with backend(answer) as peer:
        assert (await check(peer, WsCheck(ping=True))).startswith(cause)


async def test_a_check_may_ask_another_port() -> None:
    async with backend() as peer:
        server = Server.at("ws://127.0.0.1:1")
        await probe(server, Check(HttpCheck(), port=peer.port))
    assert b"Host: 127.0.0.1:%d\r\n" % peer.port in peer.received[0]


async def test_a_connection_that_is_reset_has_failed() -> None:
    async def reset(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            raw = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    peer = Backend(listener.extra(SocketAttribute.local_port), OK)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, reset)
        assert await check(peer, HttpCheck()) == "Connection reset by peer"
        assert await check(peer, WsCheck()) == "Connection reset by peer"
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("way", [HttpCheck(), TcpCheck(), HttpCheck("/health")])
async def test_a_server_on_a_unix_socket_is_checked(way: Way) -> None:
    with TemporaryDirectory() as folder:
        path = f"{folder}/app.sock"
        peer = Backend(0, OK)
        listener = await anyio.create_unix_listener(path)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, peer.serve)
            await probe(Server.at(f"unix:{path}:/base"), Check(way, timeout=30))
            tasks.cancel_scope.cancel()
        if isinstance(way, HttpCheck):
            assert peer.received[0].startswith(f"GET {way.path or '/base'} HTTP/1.1\r\n".encode())
            assert b"\r\nHost: localhost\r\n" in peer.received[0]
