"""The filter in a gateway: which servers are asked, what results, and who lets go of what."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream, TaskGroup
from anyio.lowlevel import checkpoint
from websockets.sync.client import connect

from easews import Context, Filter, Response
from easews.observe.logs import FIELDS
from easews.testing import Running, gateway, make_context
from easews.upstream import Server
from easews.upstream.servers import standing_of
from easews_wsproxy.handshake.rules import accept_for
from easews_wsproxy.proxy import WebSocketProxy

PATIENCE = 30
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="

CONFIG = """
kind: Pipeline
name: pipeline
flow: {flow}
filters:
- {{kind: Spoils, name: spoils}}
- {{kind: Answers, name: answers}}
- {{kind: Stamps, name: stamps}}
- {{kind: Decorates, name: decorates}}
- kind: WebSocketProxy
  name: proxy
  defaultOrigin: HTTP://127.0.0.1:80/hello
  pools:
  - {{servers: {servers}, timeouts: {{handshake: {handshake}, close: 300ms}}, {pool}}}
---
kind: HTTPServer
name: server
port: 80
trustedProxies: {trusted}
rules: [{{paths: [{{pathPrefix: /, clientMaxBodySize: -1, backend: pipeline}}]}}]
"""


class Spoils(Filter):
    """Takes the answer of the filter before it away."""

    kind = "Spoils"
    sees_answers = True

    async def handle(self, ctx: Context) -> None:
        ctx.response = Response(403, content=" ".join(result for _, result in ctx.trace))


class Answers(Filter):
    """Answers with the trace so far."""

    kind = "Answers"

    async def handle(self, ctx: Context) -> None:
        if ctx.response is None:
            ctx.response = Response(200, content=f"{ctx.trace}")


STAMPS = {
    "X-Auth-User": "bob",
    "X-Forwarded-Prefix": "/base",
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "192.0.2.1",
}


class Stamps(Filter):
    """Sets fields that backends decide by."""

    kind = "Stamps"

    async def handle(self, ctx: Context) -> None:
        for name, value in STAMPS.items():
            ctx.request.headers.set(name, value)


class Decorates(Filter):
    """Adds a field to every answer that comes by, and says whose session it is."""

    kind = "Decorates"

    async def handle(self, ctx: Context) -> None:
        ctx.labels["user"] = "anne"

    async def on_answer(self, ctx: Context) -> None:
        assert ctx.response is not None
        ctx.response.headers.set("X-Decorated", "yes")


@asynccontextmanager
async def proxying(
    *servers: int | str,
    flow: str = "[{filter: proxy}]",
    trusted: str = "[]",
    pool: str = "",
    handshake: str = "30s",
) -> AsyncIterator[Running]:
    """A gateway in front of servers: a port of this machine, or an entry as it is written."""
    entries = [
        server if isinstance(server, str) else f"{{url: 'ws://127.0.0.1:{server}'}}"
        for server in servers
    ]
    listed = f"[{', '.join(entries)}]"
    config = CONFIG.format(
        flow=flow, servers=listed, trusted=trusted, pool=pool, handshake=handshake
    )
    ports = [server for server in servers if isinstance(server, int)]
    standings = [standing_of(Server.at(f"ws://127.0.0.1:{port}")) for port in ports]
    async with gateway(config, Spoils, Answers, Stamps, Decorates) as running:
        yield running
    assert not any(standing.active for standing in standings), "an attempt is never over"


class Backend:
    """A listening socket whose every step is the test's."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.port: int = self.listening.getsockname()[1]

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_: object) -> None:
        self.listening.close()

    async def accept(self) -> tuple[SocketStream, bytes]:
        """The next connection, and the head that came on it."""
        with anyio.fail_after(PATIENCE):
            await anyio.wait_readable(self.listening)
            stream = await SocketStream.from_socket(self.listening.accept()[0])
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
        return stream, head


def accepting(head: bytes) -> bytes:
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
    return (
        b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + accept_for(key).encode() + b"\r\n\r\n"
    )


async def ask(running: Running, *behind: bytes, fields: bytes = b"") -> SocketStream:
    stream = await anyio.connect_tcp(*running.address)
    await stream.send(
        b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + fields
        + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + KEY.encode()
        + b"\r\n\r\n"
    )
    for piece in behind:
        await stream.send(piece)
    return stream


async def receive_until(stream: SocketStream, end: bytes) -> bytes:
    data = b""
    with anyio.fail_after(PATIENCE):
        while not data.endswith(end):
            data += await stream.receive()
    return data


async def read_all(stream: SocketStream) -> bytes:
    with anyio.fail_after(PATIENCE):
        async with stream:
            return b"".join([piece async for piece in stream])


DECORATED = "[{filter: decorates}, {filter: proxy}]"


async def test_a_filter_in_front_of_the_proxy_reaches_its_101(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "easews.access")
    with Backend() as backend:
        async with proxying(backend.port, flow=DECORATED) as running:
            client = await ask(running)
            server, head = await backend.accept()
            await server.send(accepting(head))
            assert b"\r\nX-Decorated: yes\r\n" in await receive_until(client, b"\r\n\r\n")
            assert running.sessions.matching(user="anne")
            await client.aclose()
            await server.aclose()
            with anyio.fail_after(PATIENCE):
                while len(running.sessions):
                    await checkpoint()
    fields = [getattr(record, FIELDS) for record in caplog.records]
    assert [line["label.user"] for line in fields] == ["anne", "anne"]


async def test_a_filter_in_front_of_the_proxy_reaches_its_refusals() -> None:
    with Backend() as backend:
        async with proxying(backend.port, flow=DECORATED) as running:
            client = await ask(running)
            server, _ = await backend.accept()
            await server.send(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
            answer = await read_all(client)
            assert answer.startswith(b"HTTP/1.1 401 ")
            assert b"\r\nX-Decorated: yes\r\n" in answer
            await server.aclose()
        async with proxying(backend.port, flow=DECORATED) as running:
            answer = await read_all(await ask(running, fields=b"Origin: http://other\r\n"))
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert b"\r\nX-Decorated: yes\r\n" in answer


async def test_frames_behind_the_handshake_are_delivered_after_the_101() -> None:
    with Backend() as backend:
        async with proxying(backend.port) as running:
            client = await ask(running, b"\x81\x82\0\0\0\0hi")
            server, head = await backend.accept()
            assert head.endswith(b"\r\n\r\n")  # nothing of it goes before the 101
            await server.send(accepting(head) + b"\x81\x05early")
            assert await receive_until(server, b"hi") == b"\x81\x82\0\0\0\0hi"
            answer = await receive_until(client, b"early")
            assert accept_for(KEY).encode() in answer
            await server.aclose()
            await client.aclose()


async def test_a_client_without_an_origin_gets_that_of_the_configured_url() -> None:
    with Backend() as backend:
        async with proxying(backend.port) as running:
            client = await ask(running)
            server, head = await backend.accept()
            assert b"\r\nOrigin: http://127.0.0.1\r\n" in head
            await client.aclose()
            await server.aclose()


async def test_a_client_that_leaves_cancels_the_dial(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with Backend() as backend:
        async with proxying(backend.port) as running:
            client = await ask(running)
            server, _ = await backend.accept()
            await client.aclose()
            assert await read_all(server) == b""
    request = next(record for record in caplog.records if record.message == "request")
    assert vars(request)["easews_fields"]["status"] == 499


async def test_the_next_server_is_asked_when_one_refuses_or_hangs_up() -> None:
    with Backend() as refusing, Backend() as hanging_up, Backend() as backend:
        refusing.listening.close()
        async with proxying(refusing.port, hanging_up.port, backend.port) as running:
            client = await ask(running)
            hung_up, _ = await hanging_up.accept()
            await hung_up.aclose()
            server, head = await backend.accept()
            await server.send(accepting(head))
            assert (await receive_until(client, b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            await server.aclose()
            await client.aclose()


async def test_servers_take_turns() -> None:
    with Backend() as one, Backend() as other:
        async with proxying(one.port, other.port) as running:
            for backend in (one, other, one, other):
                client = await ask(running)
                server, _ = await backend.accept()
                await server.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
                assert (await read_all(client)).startswith(b"HTTP/1.1 403 ")
                await server.aclose()


async def test_the_server_with_the_fewest_open_sessions_is_next() -> None:
    with Backend() as one, Backend() as other:
        async with proxying(one.port, other.port) as running:
            peers = []
            for backend in (one, other, one):
                peers.append(await ask(running))
                server, head = await backend.accept()
                await server.send(accepting(head))
                peers.append(server)
                await receive_until(peers[-2], b"\r\n\r\n")
            for peer in (peers[0], peers[1], peers[4], peers[5]):  # both sessions with `one`
                await peer.aclose()
            with anyio.fail_after(PATIENCE):
                while len(running.sessions) > 1:
                    await checkpoint()
            peers.append(await ask(running))
            peers.append((await one.accept())[0])
            for peer in peers:
                await peer.aclose()


LIMITS = "maxConnections: 1, queue: {size: 1, timeout: %s}"


@pytest.mark.parametrize("timeout", ["10ms", "30s"])
async def test_a_session_too_many_waits_or_is_refused(timeout: str) -> None:
    with Backend() as backend:
        async with proxying(backend.port, pool=LIMITS % timeout) as running:
            client = await ask(running)
            server, head = await backend.accept()
            await server.send(accepting(head))
            await receive_until(client, b"\r\n\r\n")
            late = await ask(running)
            if timeout == "10ms":
                answer = await read_all(late)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"\r\nRetry-After: 1\r\n" in answer
            await server.aclose()
            await client.aclose()
            if timeout == "30s":
                server, head = await backend.accept()
                await server.send(accepting(head))
                assert (await receive_until(late, b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
                await server.aclose()
                await late.aclose()


@pytest.mark.parametrize("on", ["timeout", "503"])
async def test_another_server_is_asked_for_what_the_config_says(on: str) -> None:
    handshake = "30s" if on == "503" else "300ms"
    with Backend() as one, Backend() as other:
        async with proxying(
            one.port, other.port, pool=f"retries: {{on: [{on}]}}", handshake=handshake
        ) as running:
            client = await ask(running)
            server, _ = await one.accept()
            if on == "503":
                await server.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            assert await read_all(server) == b""
            server, head = await other.accept()
            await server.send(accepting(head))
            assert (await receive_until(client, b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            await server.aclose()
            await client.aclose()


async def test_a_server_that_is_in_its_pool_twice_has_two_ways_to_be_asked() -> None:
    with Backend() as backend:
        url = f"ws://localhost:{backend.port}"
        entries = [f"{{url: '{url}', keepHost: {keep}}}" for keep in ("true", "false")]
        hosts = []
        async with proxying(*entries) as running:
            for _ in entries:
                client = await ask(running)
                server, head = await backend.accept()
                hosts.append(dict(fields_of(head))["Host"])
                await server.aclose()
                await client.aclose()
        assert hosts == ["h", f"localhost:{backend.port}"]


async def test_a_server_that_does_not_answer_in_time_is_504(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    with Backend() as backend:
        async with proxying(backend.port, handshake="300ms") as running:
            client = await ask(running)
            server, _ = await backend.accept()
            answer = await read_all(client)
            assert answer.startswith(b"HTTP/1.1 504 ")
            assert await read_all(server) == b""
    reason = vars(caplog.records[-1])["easews_fields"]["reason"]
    assert reason == "the server did not answer in time"
    assert reason.encode() in answer


async def test_a_refusal_of_the_backend_is_streamed_to_the_client() -> None:
    with Backend() as backend:
        async with proxying(backend.port) as running:
            client = await ask(running)
            server, _ = await backend.accept()
            await server.send(
                b"HTTP/1.1 302 Found\r\nLocation: /login\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n5\r\nplease\r\n"[:-3]
            )
            await receive_until(client, b"pleas\r\n")
            await server.send(b"\r\n4\r\n log\r\n0\r\n\r\n")
            rest = await read_all(client)
            assert rest == b"4\r\n log\r\n0\r\n\r\n"
            await server.aclose()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Origin: http://evil.example", "Origin"),
        ("Sec-WebSocket-Key: short", "base64 of 16 random bytes"),
        ("Upgrade: h2c", "this address speaks WebSocket only"),
        ("X: y", "no server could be reached"),
    ],
)
async def test_the_reason_of_a_refusal_is_in_the_log(
    line: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "easews.access")
    refusing = socket.socket()  # bound, and it does not listen: nobody else can have the port
    refusing.bind(("127.0.0.1", 0))
    with refusing:
        async with proxying(refusing.getsockname()[1]) as running:
            client = await anyio.connect_tcp(*running.address)
            fields = {"Host": "h", "Connection": "Upgrade", "Upgrade": "websocket"}
            fields |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}
            name, _, value = line.partition(": ")
            fields[name] = value
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            await client.send(f"GET /x HTTP/1.1\r\n{lines}\r\n".encode())
            body = (await read_all(client)).partition(b"\r\n\r\n")[2]
    logged = vars(caplog.records[-1])["easews_fields"]["reason"]
    assert reason in logged
    assert logged.encode() in body


SILENT = {
    "length": b"Content-Length: 4\r\n",
    "chunked": b"Transfer-Encoding: chunked\r\n",
    "no length": b"",
}


@pytest.mark.parametrize("framing", SILENT.values(), ids=SILENT)
async def test_a_refusal_does_not_wait_for_its_body_and_ends_with_the_client(
    framing: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with Backend() as backend:
        async with proxying(backend.port) as running:
            client = await ask(running)
            server, _ = await backend.accept()
            await server.send(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n" + framing + b"\r\n")
            head = await receive_until(client, b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 401 ")
            assert b"\r\nWWW-Authenticate: Basic\r\n" in head
            await client.aclose()
            assert await read_all(server) == b""
            with anyio.fail_after(PATIENCE):
                while running.gateway.listeners["server"]._open:
                    await checkpoint()
    assert vars(caplog.records[-1])["easews_fields"]["status"] == 499


async def test_an_upgrade_that_a_later_filter_replaces_lets_go_of_the_backend() -> None:
    with Backend() as backend:
        async with proxying(backend.port, flow="[{filter: proxy}, {filter: spoils}]") as running:
            client = await ask(running)
            server, head = await backend.accept()
            await server.send(accepting(head))
            assert await read_all(server) == b""
            assert (await read_all(client)).startswith(b"HTTP/1.1 403 ")
            assert len(running.sessions) == 0


async def test_a_plain_request_can_be_routed_elsewhere() -> None:
    flow = "[{filter: proxy, jumpIf: {notWebSocket: answers}}, {filter: spoils}, {filter: answers}]"
    with Backend() as backend:
        async with proxying(backend.port, flow=flow) as running:
            client = await anyio.connect_tcp(*running.address)
            await client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            answer = await read_all(client)
            assert answer.endswith(b"[('proxy', 'notWebSocket')]")


async def test_a_pool_without_servers_is_503() -> None:
    spec = {
        "keepHost": False,
        "servers": [],
        "originPatterns": [],
        "insecureSkipVerify": False,
        "backendLostCode": 1011,
        "clientMaxMsgSize": -1,
        "serverMaxMsgSize": -1,
        "keepAlive": {"interval": 0, "timeout": 1.0},
        "timeouts": dict.fromkeys(
            ["connect", "handshake", "close", "slowReader", "idle", "maxAge"], 1.0
        ),
    }
    proxy = WebSocketProxy("proxy", {"pools": [spec]})
    handshake = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    handshake += [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY)]
    ctx = make_context("/", handshake)
    assert await proxy.handle(ctx) == "internalError"
    assert ctx.response is not None
    assert ctx.response.status == 503


def fields_of(head: bytes) -> list[tuple[str, str]]:
    lines = head.decode().split("\r\n")[1:-2]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


async def sent_on(*fields: str, flow: str, trusted: str = "[]") -> list[tuple[str, str]]:
    """What the backend gets when a client sends these fields with its handshake."""
    with Backend() as backend:
        async with proxying(backend.port, flow=flow, trusted=trusted) as running:
            client = await ask(running, fields="".join(f"{it}\r\n" for it in fields).encode())
            server, head = await backend.accept()
            await server.aclose()
            await client.aclose()
    return fields_of(head)


ASKED_FOR = "[{filter: stamps}, {filter: proxy}]"
FORGED = [
    *("X_Auth_User: eve", "x.auth.user: eve", "X-Auth-User: eve", "X_Forwarded_Prefix: eve"),
    *("X-Forwarded-For: eve", "X_Forwarded_For: eve", "X-Forwarded-Uri: eve", "Proxy: eve"),
    *("Forwarded: for=eve", "X-Real-IP: eve", "X-Original-Forwarded-For: eve"),
]


async def test_a_client_cannot_forge_what_filters_and_proxies_set() -> None:
    sent = await sent_on(*FORGED, "X_Mine: 1", flow=ASKED_FOR)
    assert not [field for field in sent if "eve" in field[1]]
    assert ("X_Mine", "1") in sent
    assert ("X-Forwarded-For", "127.0.0.1") in sent


async def test_a_client_cannot_remove_what_filters_and_proxies_set() -> None:
    named = [*STAMPS, "X-Forwarded-For", "X-Forwarded-Host", "Host", "Sec-WebSocket-Key"]
    sent = await sent_on(f"Connection: {', '.join(named)}, X-Mine", "X-Mine: 1", flow=ASKED_FOR)
    assert {*STAMPS.items(), ("X-Forwarded-For", "127.0.0.1"), ("Host", "h")} <= {*sent}
    assert {name for name, _ in sent} >= {"X-Forwarded-Host", "Sec-WebSocket-Key"}
    assert "X-Mine" not in dict(sent)


@pytest.mark.parametrize("trusted", ["[]", "[127.0.0.1]"])
async def test_what_a_filter_sets_goes_on_as_it_is(trusted: str) -> None:
    said = ["X-Forwarded-Prefix: /other", "X-Forwarded-Proto: http", "X-Real-IP: 203.0.113.5"]
    sent = await sent_on(*said, flow=ASKED_FOR, trusted=trusted)
    assert [field for field in sent if field[0] in STAMPS] == [*STAMPS.items()]


@pytest.mark.parametrize(("trusted", "passes"), [("[127.0.0.1]", True), ("[]", False)])
async def test_origin_is_compared_with_the_host_that_a_trusted_proxy_was_asked_for(
    trusted: str, passes: bool
) -> None:
    fields = b"Origin: https://shop.example\r\nX-Forwarded-Host: shop.example\r\n"
    with Backend() as backend:
        async with proxying(backend.port, trusted=trusted) as running:
            client = await ask(running, fields=fields)
            if passes:
                server, head = await backend.accept()
                assert dict(fields_of(head))["X-Forwarded-Host"] == "shop.example"
                await server.aclose()
            else:
                assert (await read_all(client)).startswith(b"HTTP/1.1 403 ")
            await client.aclose()


async def _echo_once(backend: Backend) -> None:
    server, head = await backend.accept()
    await server.send(accepting(head))
    async with server:
        frame = await server.receive()
        await server.send(
            b"\x81\x02" + bytes(a ^ b for a, b in zip(frame[6:8], frame[2:4], strict=True))
        )
        async for _ in server:
            pass


async def test_the_servers_connections_count_until_their_sessions_end() -> None:
    with Backend() as backend:
        async with proxying(backend.port) as running:
            tasks: TaskGroup
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_echo_once, backend)
                talk = anyio.to_thread.run_sync(_say_hi, running)
                await talk
            listener = running.gateway.listeners["server"]
            with anyio.fail_after(PATIENCE):
                while listener._open or len(running.sessions):
                    await checkpoint()


def _say_hi(running: Running) -> None:
    with connect(f"ws://{running.address}/x", compression=None) as client:
        client.send("hi")
        assert client.recv() == "hi"
