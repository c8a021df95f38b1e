"""Who breaks a rule gets the answers to what it had sent before, and its Close behind them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from websockets.frames import Opcode

from easews_wsproxy.relay.rates import Rate
from easews_wsproxy.relay.watchdog import Limits

SOON = Limits(close=0.3)
BOTH = pytest.mark.parametrize("sender", ["client", "backend"])


def ends(relayed: Any, sender: str) -> tuple[Any, Any]:
    """Who breaks a rule, and the other side."""
    pair = relayed.client, relayed.backend
    return pair if sender == "client" else pair[::-1]


async def break_a_rule(relayed: Any, sender: str) -> None:
    """Behind a message, which reaches the other side with the Close that it is told by."""
    source, sink = ends(relayed, sender)
    message = source.frame(Opcode.TEXT, b"in order")
    await source.send(message + bytes([message[0] | 0x20]) + message[1:])
    assert await sink.receive_text() == "in order"
    assert await sink.receive_close() == (1001, f"the {sender} was at fault")


@BOTH
async def test_answers_come_in_front_of_the_close(relaying: Any, sender: str) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        source, sink = ends(relayed, sender)
        await break_a_rule(relayed, sender)
        await sink.send_text("first")
        assert await source.receive_text() == "first"
        await sink.send_text("last")
        await sink.send(sink.frame(Opcode.CLOSE, b"\x03\xe9") + sink.frame(Opcode.TEXT, b"late"))
        assert await source.receive_text() == "last"
        assert (await source.receive_close())[0] == 1002
        await source.receive_end()
        source.close()
        sink.close()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == ("proxy", 1002)
        assert ending.cause.startswith(f"{sender}: a reserved bit is set")


@BOTH
async def test_nothing_of_what_follows_the_fault_goes_on(relaying: Any, sender: str) -> None:
    async with relaying() as stage:
        relayed = stage.open(SOON)
        source, sink = ends(relayed, sender)
        await break_a_rule(relayed, sender)
        await source.send(source.frame(Opcode.TEXT, b"out of order") * 10_000)
        await sink.send(sink.frame(Opcode.CLOSE, b"\x03\xe9"))
        assert (await source.receive_close())[0] == 1002
        await sink.receive_end()


@BOTH
async def test_the_close_comes_when_the_other_side_does_not_close_in_time(
    relaying: Any, sender: str
) -> None:
    async with relaying() as stage:
        relayed = stage.open(SOON)
        source, sink = ends(relayed, sender)
        await break_a_rule(relayed, sender)
        await sink.send_text("an answer")
        assert await source.receive_text() == "an answer"
        assert (await source.receive_close())[0] == 1002
        await sink.receive_end()
        await relayed.ended()


@BOTH
async def test_the_close_comes_when_the_other_side_leaves(relaying: Any, sender: str) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        source, sink = ends(relayed, sender)
        await break_a_rule(relayed, sender)
        await sink.send_text("an answer")
        sink.close()
        assert await source.receive_text() == "an answer"
        assert (await source.receive_close())[0] == 1002


@BOTH
@pytest.mark.slow
async def test_the_close_waits_for_the_end_of_an_answers_frame(relaying: Any, sender: str) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(close=1.0))
        source, sink = ends(relayed, sender)
        await break_a_rule(relayed, sender)
        answer = sink.frame(Opcode.BINARY, bytes(1000))
        await sink.send(answer[:500])
        assert await source.receive_exactly(500) == answer[:500]
        with pytest.raises(TimeoutError), anyio.fail_after(1.3):  # by then the Close is due
            await source.receive()
        await sink.send(answer[500:])
        assert await source.receive_exactly(len(answer) - 500) == answer[500:]
        assert (await source.receive_close())[0] == 1002


@BOTH
@pytest.mark.slow
async def test_answers_that_are_read_slowly_arrive(relaying: Any, sender: str) -> None:
    """The close timeout does not count while they make the other side wait."""
    async with relaying() as stage, anyio.create_task_group() as tasks:
        relayed = stage.open(SOON)
        source, sink = ends(relayed, sender)
        await break_a_rule(relayed, sender)
        answer = sink.frame(Opcode.BINARY, bytes(8_000_000))
        tasks.start_soon(sink.send, answer + sink.frame(Opcode.CLOSE, b"\x03\xe9"))
        slow_until = anyio.current_time() + 3 * SOON.close
        received = 0
        while received < len(answer):
            received += len(await source.receive(min(200_000, len(answer) - received)))
            if anyio.current_time() < slow_until:
                await anyio.sleep(0.02)
        assert (await source.receive_close())[0] == 1002


async def test_when_both_sides_break_a_rule_there_is_nothing_to_wait_for(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await break_a_rule(relayed, "client")
        await relayed.backend.send(b"\x83\x00")
        assert (await relayed.client.receive_close())[0] == 1002


async def test_a_stop_does_not_wait_for_answers(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await break_a_rule(relayed, "client")
        relayed.session.close(1001, "stopping")
        assert (await relayed.client.receive_close())[0] == 1002


async def test_a_client_over_its_rate_gets_the_answers_too(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(client_rate=Rate(bytes=1000, close=True)))
        frame = relayed.client.frame(Opcode.BINARY, bytes(3000))
        await relayed.client.send(frame[:2000])
        await relayed.backend.receive_exactly(2000)
        await relayed.client.send(frame[2000:] + frame)
        assert await relayed.backend.receive_exactly(len(frame) - 2000) == frame[2000:]
        assert await relayed.backend.receive_close() == (1001, "the client was at fault")
        await relayed.backend.send_text("an answer")
        await relayed.backend.send(relayed.backend.frame(Opcode.CLOSE, b"\x03\xe9"))
        assert await relayed.client.receive_text() == "an answer"
        assert await relayed.client.receive_close() == (1008, "sends more than it may")


async def test_a_message_over_the_limit_leaves_the_answers_to_others(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(client_limit=10)
        await relayed.client.send_text("short")
        await relayed.client.send_text("longer than that")
        assert await relayed.backend.receive_text() == "short"
        assert (await relayed.backend.receive_close())[0] == 1001
        await relayed.backend.send_text("an answer")
        relayed.backend.close()
        assert await relayed.client.receive_text() == "an answer"
        assert await relayed.client.receive_close() == (1009, "message over 10 bytes")
