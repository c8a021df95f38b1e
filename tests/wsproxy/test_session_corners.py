"""Corners where two rules meet: pauses and Closes, late pongs and new ones."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from websockets.frames import Opcode

from easews_wsproxy.relay.loop import Loop
from easews_wsproxy.relay.rates import Rate
from easews_wsproxy.relay.watchdog import Limits

pytestmark = pytest.mark.slow  # on one Python is enough


async def test_a_client_that_waits_for_its_rate_can_still_answer_a_close(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(client_rate=Rate(bytes=5000), close=3.0))
        await relayed.client.send(relayed.client.frame(Opcode.BINARY, bytes(6000)))
        await relayed.backend.receive_exactly(6000 + 8)
        assert relayed.session.client.resume_at
        await relayed.backend.send(relayed.backend.frame(Opcode.CLOSE, b"\x03\xe8"))
        assert await relayed.client.receive_close() == (1000, "")
        await relayed.client.send(relayed.client.frame(Opcode.CLOSE, b"\x03\xe8"))
        assert await relayed.backend.receive_close() == (1000, "")


async def test_pongs_to_two_pings_of_ours_go_no_further(relaying: Any) -> None:
    async with relaying() as stage, anyio.create_task_group() as tasks:
        relayed = stage.open(Limits(ping_interval=0.2, ping_timeout=1))
        received: list[bytes] = []

        async def be_the_backend() -> None:
            while received[-1:] != [b"end"]:
                frame = await relayed.backend.receive_frame()
                if frame.opcode is Opcode.PING:
                    pong = relayed.backend.frame(Opcode.PONG, bytes(frame.data))
                    await relayed.backend.send(pong)
                else:
                    received.append(bytes(frame.data))

        tasks.start_soon(be_the_backend)
        first = await relayed.client.receive_frame()
        await relayed.client.send_text("not silent")
        second = await relayed.client.receive_frame()
        for ping in (first, second):
            assert ping.opcode is Opcode.PING
            await relayed.client.send(relayed.client.frame(Opcode.PONG, bytes(ping.data)))
        await relayed.client.send_text("end")
    assert received == [b"not silent", b"end"]


async def test_a_flood_of_pongs_is_sent_on_in_large_pieces(relaying: Any) -> None:
    """Also while one of ours is awaited: a call for each pong would keep the others waiting."""
    async with relaying() as stage:
        relayed = stage.open(Limits(ping_interval=0.2, ping_timeout=30))
        assert (await relayed.client.receive_frame()).opcode is Opcode.PING
        sizes = relayed.watch(relayed.session.backend).writes
        flood = b"\x8a\x80\0\0\0\0" * 5000
        received = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.client.send, flood)
            while received < len(flood):
                received += len(await relayed.backend.receive())
        assert len(sizes) < 500


def test_a_frame_that_comes_byte_by_byte_counts_once(run_by_hand: Any) -> None:
    with run_by_hand(Loop, Limits(client_rate=Rate(bytes=1000))) as by_hand:
        by_hand.client.outbox += b"\x89\xfd" + bytes(4 + 125)
        while by_hand.client.push(1):
            by_hand.turn()
        assert by_hand.session.client.walker.pings == 1
        assert not by_hand.session.client.resume_at


def test_a_session_that_is_closing_is_looked_at_a_few_times_only(run_by_hand: Any) -> None:
    with run_by_hand(Loop, Limits(close=8.0)) as by_hand:
        by_hand.session.close(1001, "stopping")
        looks = 0
        while by_hand.session.client.wire is not None:
            wait = by_hand.session.closing.wake - by_hand.now
            assert wait > 0
            by_hand.pass_time(wait)
            by_hand.client.pull()
            by_hand.backend.pull()
            looks += 1
        assert 4 <= looks <= 20


def test_the_clock_lets_go_of_a_session_that_is_over(run_by_hand: Any) -> None:
    with run_by_hand(Loop, Limits(max_age=3600)) as by_hand:
        by_hand.session.cut()
        assert not by_hand.relay._wheel


def test_a_fault_of_ours_within_a_frame_ends_its_reader_without_a_close(run_by_hand: Any) -> None:
    half = b"\x82\xfe\x10\x00" + bytes(4 + 2048)
    with run_by_hand(Loop) as by_hand:
        by_hand.client.outbox += half
        by_hand.settle()
        by_hand.session.on_failure(by_hand.now)
        by_hand.session.settle(by_hand.now)
        by_hand.settle()
        assert by_hand.client.received == b"\x88\x10\x03\xf3internal error"
        assert by_hand.backend.received == half
        assert by_hand.backend.at_end
