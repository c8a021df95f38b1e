"""Sessions whose backends speak TLS, where that makes a difference. The clients speak it or not."""

from __future__ import annotations

import ssl
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.tlspeers import TlsEnd
from websockets.frames import Opcode

from easews_wsproxy.relay.rates import Rate
from easews_wsproxy.relay.watchdog import Limits

MESSAGE = b"\x82\0"
#: More than the kernel takes for a peer that does not read.
MUCH = 16 * 1024 * 1024


def notify_close(backend: TlsEnd) -> None:
    with pytest.raises(ssl.SSLWantReadError):
        backend.ssl.unwrap()
    backend.flush()


async def test_what_came_behind_the_101_is_relayed_without_another_event(relaying: Any) -> None:
    """Records that TLS has already, the session tickets of the server before them."""
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True, from_backend=MESSAGE)
        backend = relayed.backend.sock
        for _ in range(3):
            backend.ssl.write(MESSAGE)
        backend.sock.sendall(backend.outgoing.read())
        assert await relayed.client.receive_exactly(8) == 4 * MESSAGE


@pytest.mark.parametrize("size", [1, 125, 126, 16383, 16384, 16385, 65536, 1_000_000])
async def test_messages_of_every_size_pass(relaying: Any, size: int) -> None:
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True)
        await relayed.passes_both_ways(bytes(range(256)) * (size // 256 + 1))


@pytest.mark.slow
async def test_a_message_of_16_mib_passes_both_ways(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True)
        await relayed.passes_both_ways(bytes(MUCH))


async def test_a_client_is_not_read_while_its_backend_does_not_read(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(close=30), backend_tls=True)
        frame = relayed.client.frame(Opcode.BINARY, bytes(MUCH))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.client.send, frame)
            leg = relayed.session.backend
            while not (leg.pending is not None and leg.wire.owed):
                await checkpoint()
            relayed.session.close(1012, "restart")
            assert await relayed.backend.receive_exactly(len(frame)) == frame
            assert await relayed.backend.receive_close() == (1012, "restart")


async def test_a_slow_backend_is_given_up(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(slow_reader=0.3, close=0.3), backend_tls=True)
        frame = relayed.client.frame(Opcode.BINARY, bytes(MUCH))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.client.send, frame)
            code, _ = await relayed.client.receive_close()
            tasks.cancel_scope.cancel()
        assert code == 1001


async def test_a_close_notify_of_the_backend_is_a_loss(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True)
        notify_close(relayed.backend.sock)
        code, reason = await relayed.client.receive_close()
        assert (code, reason) == (1011, "the backend was lost")
        relayed.client.close()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == ("backend", 1006)


async def test_a_last_message_in_front_of_a_close_notify_arrives(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True)
        backend = relayed.backend.sock
        backend.ssl.write(relayed.backend.frame(Opcode.TEXT, b"last words"))
        notify_close(backend)
        assert await relayed.client.receive_text() == "last words"
        assert (await relayed.client.receive_close())[0] == 1011


async def test_a_backend_that_ends_its_side_still_gets_the_close(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True)
        relayed.backend.half_close()
        assert (await relayed.client.answer_close())[0] == 1011
        assert (await relayed.backend.receive_frame()).opcode is Opcode.CLOSE


async def test_after_both_closes_the_backend_gets_a_close_notify(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True)
        relayed.session.close(1001, "bye")
        await relayed.backend.answer_close()
        await relayed.client.answer_close()
        await relayed.backend.receive_end()
        relayed.backend.sock.ssl.unwrap()  # ends at once: the relay's close_notify is here
        relayed.backend.close()
        relayed.client.close()
        await relayed.ended()


async def test_garbage_of_a_backend_ends_the_session_and_it_gets_an_alert(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True)
        relayed.backend.sock.sock.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
        assert (await relayed.client.receive_close())[0] == 1011
        with pytest.raises(ConnectionError, match="alert bad record mac"):
            await relayed.backend.receive()


async def test_a_client_that_may_go_on_sending_does(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(client_rate=Rate(messages=40)), backend_tls=True)
        message = relayed.client.frame(Opcode.BINARY, bytes(100))
        await relayed.client.send(message * 60)
        assert await relayed.backend.receive_exactly(60 * len(message))
