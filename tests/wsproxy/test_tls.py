"""Sessions whose clients speak TLS, where that makes a difference."""

from __future__ import annotations

import errno
import ssl
import time
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.tlspeers import TlsEnd, is_readable
from tests.wsproxy.loops import LOOPS
from websockets.frames import Opcode

from easews.lowlevel import TlsWire
from easews.net.tls import RECORD_SIZE
from easews_wsproxy.relay.endstates import Sending
from easews_wsproxy.relay.rates import Rate
from easews_wsproxy.relay.watchdog import Limits

over_tls = pytest.mark.parametrize("relaying", [f"{loop}-tls" for loop in LOOPS], indirect=True)

MESSAGE = b"\x82\x80\0\0\0\0"
#: More than the kernel takes for a peer that does not read.
MUCH = 16 * 1024 * 1024


def records(client: TlsEnd, *payloads: bytes) -> bytes:
    """A record for each payload."""
    for payload in payloads:
        client.ssl.write(payload)
    return client.outgoing.read()


@over_tls
async def test_records_that_came_with_the_request_are_relayed_without_another_event(
    relaying: Any,
) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        wire = relayed.session.client.wire
        relayed.session.client.resume_at = time.monotonic() + 1000  # as if it had not begun
        relayed.session.settle(time.monotonic())
        relayed.client.sock.sock.sendall(
            records(relayed.client.sock, MESSAGE, MESSAGE + MESSAGE, MESSAGE)
        )
        assert is_readable(wire, 30)
        wire.fill()
        await anyio.wait_all_tasks_blocked()
        assert not is_readable(wire)
        relayed.session.client.resume_at = 0.0
        relayed.session.settle(time.monotonic())
        assert await relayed.backend.receive_exactly(8) == b"\x82\x80\0\0\0\0\x82\x80"


@over_tls
async def test_a_client_that_may_go_on_sending_does_though_no_poll_tells(relaying: Any) -> None:
    """All that it sends is in TLS before its rate is exceeded."""
    async with relaying() as stage:
        relayed = stage.open(Limits(client_rate=Rate(messages=40)))
        message = relayed.client.frame(Opcode.BINARY, bytes(100))
        relayed.client.sock.sock.sendall(records(relayed.client.sock, *[message] * 60))
        assert await relayed.backend.receive_exactly(60 * len(message))


@over_tls
async def test_a_close_notify_is_an_end_of_the_stream(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        with pytest.raises(ssl.SSLWantReadError):
            relayed.client.sock.ssl.unwrap()
        relayed.client.sock.flush()
        assert await relayed.backend.receive_close() == (1001, "the client was lost")
        relayed.backend.close()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == ("client", 1006)


@over_tls
async def test_a_last_message_in_front_of_a_close_notify_arrives(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        client = relayed.client.sock
        client.ssl.write(relayed.client.frame(Opcode.TEXT, b"last words"))
        with pytest.raises(ssl.SSLWantReadError):
            client.ssl.unwrap()
        client.flush()
        assert await relayed.backend.receive_text() == "last words"
        assert await relayed.backend.receive_close() == (1001, "the client was lost")


@over_tls
async def test_after_both_closes_the_client_gets_a_close_notify(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        relayed.session.close(1001, "bye")
        await relayed.backend.answer_close()
        relayed.backend.close()
        await relayed.client.answer_close()
        client = relayed.client.sock
        await relayed.client.receive_end()
        client.ssl.unwrap()  # ends at once: the relay's close_notify is here
        relayed.client.close()
        await relayed.ended()


@over_tls
async def test_garbage_ends_the_session_and_the_client_gets_an_alert(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        relayed.client.sock.sock.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
        assert await relayed.backend.receive_close() == (1001, "the client was lost")
        with pytest.raises(ConnectionError, match="alert bad record mac"):
            await relayed.client.receive()


@over_tls
async def test_a_record_that_was_sent_in_part_is_not_taken_for_other_bytes(relaying: Any) -> None:
    """A Close of ours waits behind what the client has not taken."""
    async with relaying() as stage:
        relayed = stage.open(Limits(close=30))
        frame = relayed.backend.frame(Opcode.BINARY, bytes(MUCH))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.backend.send, frame)
            leg = relayed.session.client
            while not (leg.pending is not None and leg.wire.owed):
                await checkpoint()
            relayed.session.close(1012, "restart")
            assert await relayed.client.receive_exactly(len(frame)) == frame
            assert await relayed.client.receive_close() == (1012, "restart")


def test_a_shutdown_waits_until_there_is_room_for_its_close_notify(
    loop_type: Any, run_by_hand: Any
) -> None:
    with run_by_hand(loop_type, tls=("client",), send_buffer=1) as by_hand:
        leg: Any = by_hand.session.client
        client = by_hand.client
        by_hand.session.close(1001, "bye")
        sent = b""
        with suppress(BlockingIOError):
            while leg.wire.send(bytes(1000)):
                sent += bytes(1000)
        client.outbox += b"\x88\x80\0\0\0\0"
        client.push()
        by_hand.turn()
        assert leg.shutdown_waits
        assert leg.sending == Sending.CLOSED
        by_hand.settle()
        assert leg.sending is Sending.SHUT
        assert not leg.shutdown_waits
        assert client.received == b"\x88\x05\x03\xe9bye" + sent + bytes(1000)
        assert client.at_end


def test_a_client_that_takes_a_piece_bit_by_bit_does_not_stand_still(
    loop_type: Any, run_by_hand: Any
) -> None:
    with run_by_hand(loop_type, tls=("client",), send_buffer=1) as by_hand:
        leg: Any = by_hand.session.client
        by_hand.backend.outbox += b"\x82\x7f" + (1 << 18).to_bytes(8, "big") + bytes(1 << 18)
        taken, bits = -1, 0
        for _ in range(50):
            by_hand.backend.push()
            by_hand.turn()
            bits += leg.wire.owed > RECORD_SIZE
            before, taken = taken, leg.gauge(by_hand.now).taken
            assert taken > before
            assert by_hand.client.sock.sock.recv(RECORD_SIZE)
        assert bits > 3


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT])
def test_a_connection_that_is_lost_before_its_close_notify_ends_as_others_do(
    loop_type: Any, run_by_hand: Any, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    with run_by_hand(loop_type, tls=("client",)) as by_hand:
        leg: Any = by_hand.session.client
        by_hand.session.close(1001, "bye")
        by_hand.client.outbox += b"\x88\x80\0\0\0\0"
        by_hand.client.push()
        with patch.object(TlsWire, "shutdown", side_effect=OSError(number, "lost")):
            by_hand.turn()
        assert leg.sending is Sending.SHUT
        assert caplog.records == []


@over_tls
@pytest.mark.parametrize("size", [1, 125, 126, 16383, 16384, 16385, 65536, 1_000_000])
async def test_messages_of_every_size_pass_between_two_sides_over_tls(
    relaying: Any, size: int
) -> None:
    async with relaying() as stage:
        relayed = stage.open(backend_tls=True)
        await relayed.passes_both_ways(bytes(range(256)) * (size // 256 + 1))


@over_tls
@pytest.mark.slow
async def test_a_message_of_16_mib_passes_both_ways(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await relayed.passes_both_ways(bytes(MUCH))
