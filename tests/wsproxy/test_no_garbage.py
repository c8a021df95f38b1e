"""What a session leaves behind is freed by its last reference: the collector finds nothing."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType, TracebackType
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.e2e import raw
from tests.garbage import collect_before

from easews import Context, Filter, Response
from easews.testing import Running, gateway
from easews_wsproxy.relay import loop as loop_module
from easews_wsproxy.relay import service as relay_module
from easews_wsproxy.relay.compiled import COMPILED, Loop
from easews_wsproxy.relay.frames import Walker
from easews_wsproxy.relay.leg import Leg
from easews_wsproxy.relay.session import RelaySession

PATIENCE = 30
SESSIONS = 5

CONFIG = """
kind: Pipeline
name: pipeline
filters:
- kind: WebSocketProxy
  name: proxy
  pools:
  - servers: [{{url: 'ws://127.0.0.1:{port}'}}]
    timeouts: {{close: 100ms, handshake: {handshake}}}
- {{kind: Spoils, name: spoils}}
---
kind: HTTPServer
name: server
port: 80
rules: [{{paths: [{{pathPrefix: /, clientMaxBodySize: -1, backend: pipeline}}]}}]
"""


class Spoils(Filter):
    """Takes the answer of the filter before it away, where the path says so."""

    kind = "Spoils"
    sees_answers = True

    async def handle(self, ctx: Context) -> None:
        if ctx.request.target == "/spoiled":
            ctx.response = Response(403)


class Far:
    """One far end of a connection to the gateway."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        await anyio.wait_writable(self.sock)
        assert self.sock.send(data) == len(data)

    async def head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            await anyio.wait_readable(self.sock)
            data = self.sock.recv(65536)
            assert data, "the stream ended in a head"
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    async def rest(self) -> bytes:
        """All that comes until the other side ends its stream; then it is closed here, too."""
        while True:
            await anyio.wait_readable(self.sock)
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.sock.close()
                return self._buffer
            self._buffer += data

    async def leave(self) -> None:
        """Close the connection once something has come."""
        await anyio.wait_readable(self.sock)
        self.sock.close()


class Stage:
    """A gateway and the listening socket of its backend."""

    def __init__(self, running: Running, listening: socket.socket) -> None:
        self.running = running
        self._listening = listening

    async def ask(self, path: str = "/") -> tuple[Far, Far, bytes]:
        """A handshake that has come to the backend, and the answer that would agree to it."""
        client = Far(socket.create_connection(self.running.address))
        await client.send(raw.handshake(path))
        await anyio.wait_readable(self._listening)
        backend = Far(self._listening.accept()[0])
        key = (await backend.head()).partition(b"Sec-WebSocket-Key: ")[2].split(b"\r\n")[0]
        accept = ("Sec-WebSocket-Accept", raw.accept_for(key.decode()))
        fields = (("Connection", "Upgrade"), ("Upgrade", "websocket"), accept)
        return client, backend, raw.head("HTTP/1.1 101 Go", fields)

    async def open(self) -> tuple[Far, Far]:
        """A session."""
        client, backend, answer = await self.ask()
        await backend.send(answer)
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        return client, backend

    async def until_over(self) -> None:
        listener = self.running.gateway.listeners["server"]
        while listener._open or len(self.running.sessions):
            await checkpoint()
        await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def staged(handshake: str = "30s") -> AsyncIterator[Stage]:
    with socket.create_server(("127.0.0.1", 0)) as listening, anyio.fail_after(PATIENCE):
        listening.setblocking(False)
        config = CONFIG.format(port=listening.getsockname()[1], handshake=handshake)
        async with gateway(config, Spoils) as running:
            yield Stage(running, listening)


async def client_closes(stage: Stage) -> None:
    client, backend = await stage.open()
    await client.send(raw.close_frame(1000, "bye"))
    await backend.send(raw.close_frame(1000, masked=False))
    await backend.leave()
    await client.rest()


async def backend_closes(stage: Stage) -> None:
    client, backend = await stage.open()
    await backend.send(raw.close_frame(1000, masked=False))
    await client.send(raw.close_frame(1000))
    await backend.leave()
    await client.rest()


async def we_close(stage: Stage) -> None:
    client, backend = await stage.open()
    (session,) = stage.running.sessions
    session.close(1001, "enough")
    await backend.send(raw.close_frame(1001, masked=False))
    await client.send(raw.close_frame(1001))
    await backend.leave()
    await client.rest()


async def nobody_answers_our_close(stage: Stage) -> None:
    client, backend = await stage.open()
    (session,) = stage.running.sessions
    session.close(1001, "enough")
    await backend.rest()
    await client.rest()


async def client_is_lost(stage: Stage) -> None:
    client, backend = await stage.open()
    client.sock.close()
    await backend.leave()


async def backend_is_lost(stage: Stage) -> None:
    client, backend = await stage.open()
    backend.sock.close()
    await client.leave()


async def client_breaks_the_protocol(stage: Stage) -> None:
    client, backend = await stage.open()
    await client.send(raw.frame(raw.TEXT, b"not masked", masked=False))
    await backend.leave()
    await client.leave()


def _raise(*_: object) -> Any:
    raise ZeroDivisionError


async def we_fail(stage: Stage) -> None:
    client, backend = await stage.open()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RelaySession, "on_end", _raise)
        client.sock.close()
        await backend.leave()


async def we_fail_at_the_handover(stage: Stage) -> None:
    client, backend, answer = await stage.ask()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(relay_module.Relay, "_enter", _raise)
        await backend.send(answer)
        await backend.rest()
        await client.rest()


async def upgrade_is_discarded(stage: Stage) -> None:
    client, backend, answer = await stage.ask("/spoiled")
    await backend.send(answer)
    assert b" 403 " in await client.rest()
    await backend.rest()


async def client_leaves_before_the_answer(stage: Stage) -> None:
    client, backend, _ = await stage.ask()
    client.sock.close()
    await backend.rest()


async def backend_refuses(stage: Stage) -> None:
    client, backend, _ = await stage.ask()
    await backend.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    assert b" 403 " in await client.rest()
    await backend.rest()


async def backend_says_nothing(stage: Stage) -> None:
    client, backend, _ = await stage.ask()
    assert b" 504 " in await client.rest()
    await backend.rest()


async def backend_hangs_up(stage: Stage) -> None:
    client, backend, _ = await stage.ask()
    backend.sock.close()
    assert b" 502 " in await client.rest()


async def backend_is_wrong(stage: Stage) -> None:
    client, backend, _ = await stage.ask()
    await backend.send(b"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\n\r\n")
    assert b" 502 " in await client.rest()
    await backend.rest()


WAYS = [
    client_closes,
    backend_closes,
    we_close,
    nobody_answers_our_close,
    client_is_lost,
    backend_is_lost,
    client_breaks_the_protocol,
    we_fail,
    we_fail_at_the_handover,
    upgrade_is_discarded,
    client_leaves_before_the_answer,
    backend_refuses,
    backend_says_nothing,
    backend_hangs_up,
    backend_is_wrong,
]


def _is_ours(item: object) -> bool:
    if isinstance(item, TracebackType):
        item = item.tb_frame
    frame = next(
        (
            getattr(item, name)
            for name in ("cr_frame", "gi_frame", "ag_frame")
            if hasattr(item, name)
        ),
        item,
    )
    if isinstance(frame, FrameType):
        module = frame.f_globals["__name__"]
    else:
        module = getattr(item, "__module__", None) or type(item).__module__
    return str(module).partition(".")[0] in ("easews", "easews_wsproxy")


@contextmanager
def no_garbage(*kinds: type) -> Iterator[None]:
    """The block leaves nothing of ours, or of these kinds, for the collector, which rests."""
    collect_before()
    gc.disable()
    gc.freeze()  # what was there before: to look at all of pytest again takes most of the time
    try:
        yield
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        garbage = filter(_is_ours, gc.garbage)
        ours = [f"{item!r:.200}" for item in garbage if not kinds or isinstance(item, kinds)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()
    assert not ours, "\n".join(ours)


@pytest.fixture(params=["compiled", "pure"] if COMPILED else ["pure"], autouse=True)
def inner_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The test runs with this one. Nothing is logged: a record keeps what an error refers to."""
    loop_type: Any = loop_module.Loop if request.param == "pure" else Loop
    monkeypatch.setattr(relay_module, "Loop", loop_type)
    logging.disable()
    yield loop_type
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_session_that_has_ended_is_no_garbage(
    way: Callable[[Stage], Awaitable[None]],
) -> None:
    async with staged("100ms" if way is backend_says_nothing else "30s") as stage:
        await way(stage)  # what is made once for all
        await stage.until_over()
        with no_garbage():
            for _ in range(SESSIONS):
                await way(stage)
            await stage.until_over()


async def test_sessions_that_are_cut_at_the_end_are_no_garbage() -> None:
    with no_garbage(RelaySession, Leg, Walker):
        async with staged() as stage:
            ends = [await stage.open() for _ in range(SESSIONS)]
    for far in [far for pair in ends for far in pair]:
        far.sock.close()


@pytest.mark.parametrize("tls", [(), ("client",), ("client", "backend")], ids=str)
def test_messages_are_no_garbage(inner_loop: Any, run_by_hand: Any, tls: tuple[str, ...]) -> None:
    with run_by_hand(inner_loop, tls=tls) as by_hand:

        def echo(size: int) -> None:
            length = b"\x7f" + size.to_bytes(8, "big")
            by_hand.client.outbox += (
                b"\x82" + bytes([length[0] | 0x80]) + length[1:] + bytes(4 + size)
            )
            by_hand.backend.outbox += b"\x82" + length + bytes(size)
            by_hand.settle()

        echo(1 << 20)  # what is made once for all
        gc.collect()
        gc.disable()
        try:
            for size in (1 << 16, 100_000, 1 << 20):
                echo(size)
            assert gc.collect() == 0
        finally:
            gc.enable()
        assert len(by_hand.client.received) == len(by_hand.backend.received) - 16 > 2 << 20
