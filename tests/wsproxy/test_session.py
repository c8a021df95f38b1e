"""How sessions come to an end: who is told what, and that the connections end after it."""

from __future__ import annotations

import socket
import time
from typing import Any

import anyio
import pytest
from websockets.frames import Opcode

from easews.lowlevel import raw_socket
from easews_wsproxy.relay.watchdog import Limits

SOON = Limits(close=0.3)


async def test_messages_pass_byte_for_byte_both_ways(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        asked = relayed.client.frame(Opcode.TEXT, "żółw".encode())
        await relayed.client.send(asked)
        assert await relayed.backend.receive_exactly(len(asked)) == asked
        answered = relayed.backend.frame(Opcode.BINARY, bytes(70_000))
        await relayed.backend.send(answered)
        assert await relayed.client.receive_exactly(len(answered)) == answered


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
async def test_the_kernel_gives_up_on_a_dead_peer_later_than_we_do(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(slow_reader=2))
        sock = raw_socket(relayed.session.backend.wire)
        assert sock is not None
        relayed.session.check(time.monotonic())  # as the clock does
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 32_000


async def test_what_came_behind_the_handshakes_is_delivered(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(from_client=b"\x81\x82\0\0\0\0hi", from_backend=b"\x81\x05hello\x81")
        assert await relayed.backend.receive_text() == "hi"
        assert await relayed.client.receive_text() == "hello"
        await relayed.backend.send(b"\x01!")  # the other half of a header that was cut
        assert await relayed.client.receive_text() == "!"


@pytest.mark.parametrize("code", [None, 1000, 1001, 1011, 3000, 4999])
@pytest.mark.parametrize("closer", ["client", "backend"])
async def test_a_close_and_its_answer_pass_byte_for_byte(
    relaying: Any, closer: str, code: int | None
) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        first, second = relayed.client, relayed.backend
        if closer == "backend":
            first, second = second, first
        payload = b"" if code is None else code.to_bytes(2) + "später".encode()
        frame = first.frame(Opcode.CLOSE, payload)
        await first.send(frame)
        assert await second.receive_exactly(len(frame)) == frame
        answer = second.frame(Opcode.CLOSE, payload)
        await second.send(answer)
        assert await first.receive_exactly(len(answer)) == answer
        relayed.backend.close()
        await relayed.client.receive_end()
        relayed.client.close()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == (closer, code or 1005)


async def test_the_backends_side_closes_first(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        close = relayed.client.frame(Opcode.CLOSE, b"\x03\xe8")
        await relayed.client.send(close)
        await relayed.backend.receive_close()
        await relayed.backend.send(b"\x88\x02\x03\xe8")
        assert await relayed.client.receive_close() == (1000, "")
        await relayed.client.receive_end()  # the server's part, RFC 6455 §7.1.1
        assert not relayed.endings
        with pytest.raises(TimeoutError), anyio.fail_after(0.05):
            await relayed.backend.receive()  # we are its client, and wait for it
        relayed.backend.close()
        relayed.client.close()
        await relayed.ended()


async def test_nothing_is_forwarded_behind_a_close(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(SOON)
        close = relayed.client.frame(Opcode.CLOSE, b"\x03\xe8")
        await relayed.client.send(close + relayed.client.frame(Opcode.TEXT, b"too late"))
        await relayed.backend.receive_exactly(len(close))
        relayed.client.close()
        await relayed.backend.receive_end()


async def test_a_lost_client_is_reported_to_the_backend(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        relayed.client.close()
        assert await relayed.backend.receive_close() == (1001, "the client was lost")
        relayed.backend.close()
        ending = await relayed.ended()
        assert (ending.by, ending.code, ending.cause) == ("client", 1006, "lost")


@pytest.mark.parametrize("code", [1011, 1014])
async def test_a_lost_backend_is_reported_to_the_client(relaying: Any, code: int) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(backend_lost_code=code))
        relayed.backend.reset()
        assert await relayed.client.receive_close() == (code, "the backend was lost")
        await relayed.client.send(relayed.client.frame(Opcode.CLOSE, b"\x03\xe8"))
        relayed.client.close()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == ("backend", 1006)


async def test_a_client_that_only_stopped_sending_still_gets_its_close(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        relayed.client.half_close()
        assert (await relayed.backend.receive_close())[0] == 1001
        await relayed.backend.send(b"\x88\x02\x03\xe9")
        assert await relayed.client.receive_close() == (1001, "")


async def test_a_side_lost_within_a_frame_ends_the_other_without_a_close(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await relayed.backend.send(b"\x82\x7e\x10\x00" + bytes(1000))
        await relayed.client.receive_exactly(1004)
        relayed.backend.close()
        await relayed.client.receive_end()
        relayed.client.close()
        assert (await relayed.ended()).code == 1006


async def test_a_client_that_breaks_the_protocol_is_told_and_the_backend_too(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await relayed.client.send(b"\x81\x02hi")
        assert await relayed.backend.answer_close() == (1001, "the client was at fault")
        assert await relayed.client.receive_close() == (
            1002,
            "a frame from the client is not masked",
        )
        relayed.backend.close()
        relayed.client.close()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == ("proxy", 1002)
        assert ending.cause == "client: a frame from the client is not masked"


async def test_a_backend_that_breaks_the_protocol_is_told_and_the_client_too(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await relayed.backend.send(b"\x83\x00")
        assert (await relayed.client.answer_close())[0] == 1001
        assert (await relayed.backend.receive_close())[0] == 1002


async def test_a_peer_that_goes_on_sending_sees_our_close_and_no_reset(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await relayed.client.send(b"\x81\x02hi")
        await relayed.client.send(bytes(1_000_000))
        assert (await relayed.backend.answer_close())[0] == 1001
        assert (await relayed.client.receive_close())[0] == 1002
        await relayed.client.receive_end()


async def test_a_message_over_the_limit_is_1009(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(client_limit=10)
        await relayed.client.send(relayed.client.frame(Opcode.TEXT, b"12345678", fin=False))
        await relayed.client.send(relayed.client.frame(Opcode.CONT, b"901"))
        assert (await relayed.backend.receive_frame()).opcode is Opcode.TEXT
        assert (await relayed.backend.answer_close())[0] == 1001
        assert await relayed.client.receive_close() == (1009, "message over 10 bytes")


async def test_a_close_of_ours_waits_for_the_end_of_the_frame(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        frame = relayed.backend.frame(Opcode.BINARY, bytes(100_000))
        await relayed.backend.send(frame[:50_000])
        assert await relayed.client.receive_exactly(50_000) == frame[:50_000]
        relayed.session.close(1001, "stopping")
        assert await relayed.backend.receive_close() == (1001, "stopping")
        await relayed.backend.send(frame[50_000:] + b"\x81\x05never")
        assert await relayed.client.receive_exactly(len(frame) - 50_000) == frame[50_000:]
        assert await relayed.client.receive_close() == (1001, "stopping")


async def test_a_frame_that_never_ends_ends_with_the_connection(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(SOON)
        await relayed.backend.send(b"\x82\x7e\x10\x00" + bytes(1000))
        await relayed.client.receive_exactly(1004)
        relayed.session.close(1001, "stopping")
        await relayed.client.receive_end()
        ending = await relayed.ended()
        assert (ending.by, ending.code, ending.cause) == ("proxy", 1001, "stopping")


async def test_who_does_not_answer_a_close_is_cut_off(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(SOON)
        relayed.session.close(1001, "stopping")
        relayed.session.close(1001, "stopping twice")
        assert await relayed.client.receive_close() == (1001, "stopping")
        assert await relayed.backend.receive_close() == (1001, "stopping")
        await relayed.client.receive_end()
        await relayed.ended()


async def test_a_close_of_ours_is_answered_by_both_and_all_is_over(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        relayed.session.close(1001, "stopping")
        for peer in (relayed.client, relayed.backend):
            await peer.receive_close()
            await peer.send(peer.frame(Opcode.CLOSE, b"\x03\xe9"))
        relayed.backend.close()
        await relayed.client.receive_end()
        relayed.client.close()
        assert (await relayed.ended()).cause == "stopping"


async def test_an_ending_tells_how_much_was_sent(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await relayed.client.send_text("one")
        await relayed.client.send_text("two")
        assert await relayed.backend.receive_text() == "one"
        assert await relayed.backend.receive_text() == "two"
        await relayed.backend.send_text("three")
        assert await relayed.client.receive_text() == "three"
        relayed.client.close()
        await relayed.backend.receive_close()
        relayed.backend.close()
        ending = await relayed.ended()
        assert (ending.from_client.messages, ending.from_client.bytes) == (2, 18)
        assert (ending.from_backend.messages, ending.from_backend.bytes) == (1, 7)


async def test_pings_and_pongs_pass_and_are_no_messages(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        for opcode in (Opcode.PING, Opcode.PONG):
            await relayed.client.send(relayed.client.frame(opcode, b"beat"))
            frame = await relayed.backend.receive_frame()
            assert (frame.opcode, frame.data) == (opcode, b"beat")
        assert relayed.session.traffic()[0].messages == 0


async def test_a_reader_that_is_too_slow_ends_its_session(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(close=0.3, slow_reader=0.3))
        frame = relayed.backend.frame(Opcode.BINARY, bytes(60_000))
        with anyio.move_on_after(30) as patience:
            while not relayed.endings:
                with anyio.move_on_after(0.1):
                    try:
                        await relayed.backend.send(frame)
                    except OSError:
                        break
        assert not patience.cancelled_caught
        ending = await relayed.ended()
        assert (ending.by, ending.code) == ("proxy", 1008)
        assert ending.cause == "client: reads too slowly"
