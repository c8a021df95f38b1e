"""Sessions whose messages filters read: what goes on, in which order, and how it ends."""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from websockets.frames import Opcode

from easews import Close, Ending, Filter, Message, Reads, Session
from easews_wsproxy.messages.deflate import Agreed
from easews_wsproxy.relay.watchdog import Limits

SOON = Limits(close=0.3)
BOTH = pytest.mark.parametrize("sender", ["client", "backend"])


def ends(relayed: Any, sender: str) -> tuple[Any, Any]:
    """Who sends and who receives."""
    pair = relayed.client, relayed.backend
    return pair if sender == "client" else pair[::-1]


class Does(Filter):
    """Does with each message what the test says."""

    kind = "Does"

    def __init__(self, action: Callable[[Session, Message], Any]) -> None:
        super().__init__("does", {})
        self.action = action

    def on_message(self, session: Session, message: Message) -> Any:
        return self.action(session, message)


class DoesLater(Does):
    """The same after a wait, which it may do itself."""

    kind = "DoesLater"

    async def on_message(self, session: Session, message: Message) -> Any:
        await checkpoint()
        result = self.action(session, message)
        return await result if hasattr(result, "__await__") else result


LOOKS = Does(lambda session, message: message)
REWRITES = Does(lambda session, message: message.with_data(message.data))
SHOUTS = Does(lambda session, message: message.data.upper())

EVERY = pytest.mark.parametrize("kind", [Does, DoesLater], ids=["sync", "async"])


def compressed(peer: Any, data: bytes) -> bytes:
    """The frame of a message that is compressed by itself."""
    stream = zlib.compressobj(wbits=-15)
    payload = stream.compress(data) + stream.flush(zlib.Z_FULL_FLUSH)
    frame = bytearray(peer.frame(Opcode.BINARY, payload[:-4]))
    frame[0] |= 0x40
    return bytes(frame)


async def texts(peer: Any, count: int) -> list[str]:
    return [await peer.receive_text() for _ in range(count)]


# What goes on


@BOTH
async def test_a_message_that_nobody_changes_goes_on_as_the_bytes_that_came(
    relaying: Any, sender: str
) -> None:
    async with relaying() as stage:
        source, sink = ends(stage.open(filters=[LOOKS]), sender)
        sent = b"".join(source.frame(Opcode.TEXT, b"x" * size) for size in (0, 1, 125, 126, 70_000))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.send, sent)
            assert await sink.receive_exactly(len(sent)) == sent


@BOTH
async def test_what_came_in_one_read_goes_on_in_one_write(
    relaying: Any, sender: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easews_wsproxy.messages.lane._TURN", inf)  # the machine may be busy
    async with relaying() as stage:
        relayed = stage.open(filters=[LOOKS])
        source, sink = ends(relayed, sender)
        watched = relayed.watch(getattr(relayed.session, sender).other)
        sent = source.frame(Opcode.TEXT, b"one") + source.frame(Opcode.PING) * 2
        sent += source.frame(Opcode.BINARY, b"two")
        await source.send(sent)
        assert await sink.receive_exactly(len(sent)) == sent
        assert watched.writes in ([len(sent)], [])  # the compiled loop writes by itself


@EVERY
@BOTH
@pytest.mark.parametrize("text", ["x" * 1_000_000, "é" * 400_000], ids=["ascii", "text"])
async def test_a_large_message_goes_on_as_the_bytes_that_came(
    relaying: Any, sender: str, text: str, kind: Any
) -> None:
    read: list[Any] = []

    def note(session: Session, message: Message) -> Message:
        read.append(message.data)
        return message

    async with relaying() as stage:
        relayed = stage.open(filters=[kind(note)])
        source, sink = ends(relayed, sender)
        sent = source.frame(Opcode.TEXT, text.encode()) + source.frame(Opcode.BINARY, b"next")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.send, sent * 2)
            assert await sink.receive_exactly(len(sent) * 2) == sent * 2
        assert read == [text, b"next"] * 2
        assert relayed.session.held == stage.relay._held_bytes.count == 0


async def test_a_large_message_that_is_unfinished_at_the_end_is_gone(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(filters=[LOOKS])
        client = relayed.client
        await client.send(client.frame(Opcode.TEXT, b"x" * 1_000_000)[:300_000])
        with anyio.fail_after(30):
            while relayed.session.held < 300_000:
                await checkpoint()
        assert relayed.session.held == stage.relay._held_bytes.count < 1_000_100
        client.close()
        await relayed.backend.receive_close()
        relayed.backend.close()
        await relayed.ended()
        assert stage.relay._held_bytes.count == 0


def test_a_message_goes_on_behind_what_its_filter_has_sent_before(
    run_by_hand: Any, loop_type: Any
) -> None:
    large = b"x" * 8_000_000  # more than a socket takes

    def announce(session: Session, message: Message) -> Message:
        session.send_to_client(large)
        by_hand.client.pull()  # now there is room for more, and the rest of it waits
        return message

    announces = Does(announce)
    announces.reads = Reads(senders=("backend",))
    with run_by_hand(loop_type, filters=[announces]) as by_hand:
        by_hand.backend.outbox += b"\x81\x05small"
        by_hand.settle()
        sent = b"\x82\x7f" + len(large).to_bytes(8) + large
        assert by_hand.client.received == sent + b"\x81\x05small"


def test_a_filter_answers_who_has_sent_a_message(run_by_hand: Any, loop_type: Any) -> None:
    large = b"x" * 8_000_000  # more than a socket takes
    answers = Does(lambda session, message: session.send_to_backend(large))
    answers.reads = Reads(senders=("backend",))
    with run_by_hand(loop_type, filters=[answers]) as by_hand:
        by_hand.backend.outbox += b"\x81\x05small"
        by_hand.settle()
        assert len(by_hand.backend.received) == 14 + len(large)


@BOTH
async def test_a_slow_reader_gets_all_messages_in_order(relaying: Any, sender: str) -> None:
    async with relaying() as stage:
        relayed = stage.open(filters=[LOOKS])
        source, sink = ends(relayed, sender)
        sent = b"".join(
            source.frame(Opcode.TEXT, b"%d " % number + b"x" * (number % 3000))
            for number in range(4000)
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.send, sent)
            with anyio.fail_after(30):
                while relayed.session.held == 0:
                    await checkpoint()
            assert await sink.receive_exactly(len(sent)) == sent


async def test_little_is_inflated_while_a_hook_takes_its_time(relaying: Any) -> None:
    go = anyio.Event()
    size = 200_000

    async def wait(message: Message) -> Message:
        await go.wait()
        return message

    slow = DoesLater(lambda session, message: wait(message))
    async with relaying() as stage:
        relayed = stage.open(filters=[slow], agreed=Agreed())
        sent = compressed(relayed.client, bytes(size)) * 60
        await relayed.client.send(sent)
        with anyio.fail_after(30):
            while not relayed.session.held:
                await checkpoint()
        assert size < relayed.session.held < 1_500_000
        go.set()
        assert await relayed.backend.receive_exactly(len(sent)) == sent
        assert relayed.session.held == 0


@EVERY
@BOTH
async def test_a_changed_message_is_encoded_anew(relaying: Any, sender: str, kind: Any) -> None:
    async with relaying() as stage:
        shouts = kind(lambda session, message: message.data.upper())
        source, sink = ends(stage.open(filters=[shouts]), sender)
        for text in ("hi", "you", "x" * 70_000):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(source.send_text, text)
                assert await sink.receive_text() == text.upper()


@EVERY
async def test_messages_are_dropped_doubled_and_kept_in_order(relaying: Any, kind: Any) -> None:
    def act(session: Session, message: Message) -> Any:
        text = str(message.data)
        return {"drop": None, "two": ["two, a", "two, b"]}.get(text, message)

    async with relaying() as stage:
        relayed = stage.open(filters=[kind(act)])
        sent = ("a", "drop", "b", "two", "c", "drop", "two", "d")
        frame = relayed.client.frame
        await relayed.client.send(b"".join(frame(Opcode.TEXT, text.encode()) for text in sent))
        expected = ["a", "b", "two, a", "two, b", "c", "two, a", "two, b", "d"]
        assert await texts(relayed.backend, 8) == expected


async def test_a_fragmented_message_is_read_whole(relaying: Any) -> None:
    read: list[Any] = []

    def note(session: Session, message: Message) -> Message:
        read.append(message.data)
        return message

    async with relaying() as stage:
        relayed = stage.open(filters=[Does(note)])
        client, backend = relayed.client, relayed.backend
        parts = [client.frame(Opcode.TEXT, b"one ", fin=False)]
        parts += [client.frame(Opcode.CONT, b"mess", fin=False), client.frame(Opcode.CONT, b"age")]
        ping = client.frame(Opcode.PING, b"?")
        await client.send(parts[0] + ping)
        assert (await backend.receive_frame()).opcode is Opcode.PING
        await client.send(parts[1])
        await client.send(parts[2])
        size = sum(map(len, parts))
        assert await backend.receive_exactly(size) == b"".join(parts)
        assert read == ["one message"]
        assert relayed.session.held == stage.relay._held_bytes.count == 0


async def test_a_message_that_is_unfinished_at_the_end_is_gone(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(filters=[LOOKS])
        await relayed.client.send(relayed.client.frame(Opcode.TEXT, b"half", fin=False))
        await relayed.client.send(relayed.client.frame(Opcode.CONT, b"x" * 1000)[:500])
        with anyio.fail_after(30):
            while not relayed.session.held:
                await checkpoint()
        relayed.client.close()
        assert await relayed.backend.receive_close() == (1001, "the client was lost")
        relayed.backend.close()
        await relayed.ended()
        assert stage.relay._held_bytes.count == 0


@BOTH
async def test_one_direction_may_pass_unread(relaying: Any, sender: str) -> None:
    reads_one = Does(lambda session, message: None)
    reads_one.reads = Reads(senders=(sender,))  # type: ignore[arg-type]
    async with relaying() as stage:
        relayed = stage.open(filters=[reads_one])
        source, sink = ends(relayed, sender)
        await source.send_text("dropped")
        sent = sink.frame(Opcode.TEXT, b"half", fin=False)
        await sink.send(sent)
        assert await source.receive_exactly(len(sent)) == sent


# Hooks that take their time


async def test_a_slow_hook_holds_up_its_sender_and_nobody_else(relaying: Any) -> None:
    go = anyio.Event()

    async def wait(message: Message) -> Message:
        await go.wait()
        return message

    slow = DoesLater(lambda session, message: wait(message))
    slow.reads = Reads(senders=("client",))
    async with relaying() as stage:
        relayed, other = stage.open(filters=[slow]), stage.open(filters=[LOOKS])
        client, backend = relayed.client, relayed.backend
        await client.send(b"".join(client.frame(Opcode.TEXT, text) for text in (b"a", b"b")))
        await backend.send_text("the other way")
        assert await client.receive_text() == "the other way"
        await other.passes_both_ways(b"another session")
        sent = 0
        frame = client.frame(Opcode.BINARY, bytes(10_000))
        with anyio.move_on_after(1):
            while True:
                await client.send(frame)
                sent += 1
        assert relayed.session.held < 300_000
        go.set()
        assert await texts(backend, 2) == ["a", "b"]
        for _ in range(sent):
            assert (await backend.receive_frame()).opcode is Opcode.BINARY


async def test_others_have_their_turn_while_a_hook_is_busy_with_many_messages(
    relaying: Any,
) -> None:
    seen: list[bytes] = []

    def work(session: Session, message: Message) -> Message:
        seen.append(_bytes(message))
        time.sleep(0.001)
        return message

    payloads = [bytes((number,)) for number in range(100)]
    async with relaying() as stage:
        relayed = stage.open(filters=[Does(work)])
        client, backend = relayed.client, relayed.backend
        await client.send(b"".join(client.frame(Opcode.BINARY, each) for each in payloads))
        while not seen:
            await checkpoint()
        assert len(seen) < 50
        assert [bytes((await backend.receive_frame()).data) for _ in payloads] == payloads
        assert relayed.session.held == 0


async def test_what_is_awaited_at_the_end_is_cancelled(relaying: Any) -> None:
    cancelled: list[str] = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append("message")
            raise

    async with relaying() as stage:
        relayed = stage.open(SOON, filters=[DoesLater(lambda session, message: wait())])
        await relayed.client.send_text("never")
        await checkpoint()
        relayed.session.close(1001, "stopping")
        assert await relayed.client.receive_close() == (1001, "stopping")
        assert await relayed.backend.receive_close() == (1001, "stopping")
        await relayed.ended()
        assert cancelled in (["message"], [])  # it may not have been read


async def test_a_close_behind_a_message_that_waits_comes_behind_it(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(filters=[DoesLater(lambda session, message: message.data.upper())])
        close = relayed.client.frame(Opcode.CLOSE, b"\x03\xe8")
        await relayed.client.send(relayed.client.frame(Opcode.TEXT, b"last") + close)
        assert await relayed.backend.receive_text() == "LAST"
        assert await relayed.backend.receive_close() == (1000, "")


# How it ends


@EVERY
@BOTH
async def test_a_filter_may_close_the_session_behind_a_last_message(
    relaying: Any, sender: str, kind: Any
) -> None:
    async with relaying() as stage:
        closes = kind(lambda session, message: ["bye", Close(4000, "enough")])
        relayed = stage.open(SOON, filters=[closes])
        source, sink = ends(relayed, sender)
        await source.send(source.frame(Opcode.TEXT, b"a") + source.frame(Opcode.TEXT, b"b"))
        assert await sink.receive_text() == "bye"
        assert await sink.receive_close() == (4000, "enough")
        assert await source.receive_close() == (4000, "enough")
        ending = await relayed.ended()
        assert (ending.by, ending.code, ending.cause) == ("proxy", 4000, "enough")


@EVERY
async def test_a_filter_may_call_close_itself(relaying: Any, kind: Any) -> None:
    seen: list[Any] = []

    def act(session: Session, message: Message) -> Message:
        seen.append(message.data)
        if message.data == "close":
            session.close(4001, "said so")
        return message

    async with relaying() as stage:
        relayed = stage.open(SOON, filters=[kind(act)])
        frames = [relayed.client.frame(Opcode.TEXT, text) for text in (b"a", b"close", b"late")]
        await relayed.client.send(b"".join(frames))
        assert await relayed.backend.receive_text() == "a"
        assert await relayed.backend.receive_close() == (4001, "said so")
        assert await relayed.client.receive_close() == (4001, "said so")
        await relayed.ended()
        assert seen == ["a", "close"]


async def test_a_filter_that_fails_is_1011(relaying: Any, caplog: Any) -> None:
    def fail(session: Session, message: Message) -> None:
        raise RuntimeError("oh")

    async with relaying() as stage:
        relayed = stage.open(SOON, filters=[Does(fail)])
        await relayed.client.send_text("hi")
        assert await relayed.client.receive_close() == (1011, "a filter failed")
        assert await relayed.backend.receive_close() == (1011, "a filter failed")
        assert (await relayed.ended()).code == 1011


async def test_a_code_that_no_close_may_have_is_1011(relaying: Any, caplog: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(SOON, filters=[Does(lambda session, message: session.close(5, "x"))])
        await relayed.client.send_text("hi")
        assert await relayed.client.receive_close() == (1011, "a filter failed")
        assert await relayed.backend.receive_close() == (1011, "a filter failed")
    assert "a filter has closed it with 5, which no Close may have" in caplog.text


@pytest.mark.parametrize("sent_by", ["return", "send_to_backend"])
async def test_a_text_that_is_not_unicode_is_1011(relaying: Any, sent_by: str) -> None:
    def act(session: Session, message: Message) -> str | None:
        if sent_by == "return":
            return "\ud800"
        session.send_to_backend("\ud800")
        return None

    async with relaying() as stage:
        relayed = stage.open(SOON, filters=[Does(act)])
        await relayed.client.send_text("hi")
        assert await relayed.backend.receive_close() == (1011, "a filter failed")


@BOTH
async def test_a_message_over_what_filters_read_is_1009(relaying: Any, sender: str) -> None:
    looks = Does(lambda session, message: message)
    looks.reads = Reads(max_size=1000)
    async with relaying() as stage:
        source, sink = ends(stage.open(filters=[looks]), sender)
        await source.send_text("x" * 1000)
        assert await sink.receive_text() == "x" * 1000
        await source.send(source.frame(Opcode.TEXT, b"x" * 600, fin=False))
        await source.send(source.frame(Opcode.CONT, b"x" * 401))
        assert await sink.answer_close() == (1001, f"the {sender} was at fault")
        assert await source.receive_close() == (1009, "message over 1000 bytes")


@BOTH
async def test_a_text_that_is_not_utf8_is_1007(relaying: Any, sender: str) -> None:
    async with relaying() as stage:
        source, sink = ends(stage.open(filters=[LOOKS]), sender)
        await source.send(source.frame(Opcode.TEXT, b"fine") + source.frame(Opcode.TEXT, b"\xff"))
        assert await sink.receive_text() == "fine"
        assert await sink.answer_close() == (1001, f"the {sender} was at fault")
        assert (await source.receive_close())[0] == 1007


# Messages of filters


@pytest.mark.parametrize("reads", [("client", "backend"), ("client",), ("backend",)])
async def test_a_filter_sends_messages_of_its_own_in_order(relaying: Any, reads: Any) -> None:
    def act(session: Session, message: Message) -> Message:
        session.send_to_client(f"echo of {message.data!s}")
        session.send_to_backend(b"in front of it")
        return message

    acts = Does(act)
    acts.reads = Reads(senders=reads)
    async with relaying() as stage:
        source, _ = ends(relayed := stage.open(filters=[acts]), reads[0])
        await source.send(source.frame(Opcode.TEXT, b"a") + source.frame(Opcode.TEXT, b"b"))
        to_client, to_backend = ["echo of a", "echo of b"], ["in front of it"] * 2
        if reads[0] == "client":
            to_backend = ["in front of it", "a", "in front of it", "b"]
        else:
            to_client = ["echo of a", "a", "echo of b", "b"]
        for peer, expected in ((relayed.client, to_client), (relayed.backend, to_backend)):
            got = [bytes((await peer.receive_frame()).data).decode() for _ in expected]
            assert got == expected


@BOTH
@pytest.mark.parametrize("hooked", [False, True], ids=["without filters", "with filters"])
async def test_a_message_of_ours_waits_for_the_end_of_one_that_is_being_sent(
    relaying: Any, sender: str, hooked: bool
) -> None:
    """Not between its fragments, and not in front of its end."""
    async with relaying() as stage:
        relayed = stage.open(filters=[Ticks()] if hooked else [])
        source, sink = ends(relayed, sender)
        first = source.frame(Opcode.TEXT, b"one ", fin=False)
        last = source.frame(Opcode.CONT, b"message")
        after = source.frame(Opcode.BINARY, b"x") + source.frame(Opcode.PING)
        await source.send(first + last[:4])
        assert await sink.receive_exactly(len(first)) == first
        send = (
            relayed.session.send_to_backend
            if sender == "client"
            else (relayed.session.send_to_client)
        )
        send("ours")
        send(b"and ours")
        assert relayed.session.held > 0
        await source.send(last[4:] + after)
        rest = await sink.receive_exactly(len(last))
        assert rest == last
        assert await sink.receive_text() == "ours"
        assert bytes((await sink.receive_frame()).data) == b"and ours"
        assert (await sink.receive_frame()).data == b"x"
        assert (await sink.receive_frame()).opcode is Opcode.PING
        assert relayed.session.held == stage.relay._held_bytes.count == 0


def test_a_message_of_ours_may_stand_between_any_two(run_by_hand: Any, loop_type: Any) -> None:
    """Wherever the bytes are cut; fragments and control frames around it stay whole."""
    frames = [(0x01, 1), (0x00, 0), (0x89, 3), (0x00, 6), (0x80, 0), (0x82, 2), (0x89, 0)]
    stream = b"".join(bytes((first, size)) + bytes(size) for first, size in frames)
    end = 2 + 1 + 2 + 5 + 8 + 2
    for cut in range(1, len(stream)):
        with run_by_hand(loop_type) as by_hand:
            by_hand.backend.outbox += stream[:cut]
            by_hand.settle()
            by_hand.session.send_to_client("!")
            by_hand.backend.outbox += stream[cut:]
            by_hand.settle()
            out = bytes(by_hand.client.received)
            at = out.index(b"\x81\x01!")
            assert out[:at] + out[at + 3 :] == stream
            assert at in (end, end + 4, end + 6) if cut > 1 else at == 0, cut


async def test_a_peer_that_does_not_take_what_filters_send_is_1008(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(close=0.3, slow_reader=0.3), filters=[LOOKS])
        most = 0
        for _ in range(200):
            relayed.session.send_to_client(bytes(100_000))
            most = max(most, relayed.session.held)
        assert most < 5_000_000
        assert await relayed.backend.receive_close() == (1001, "the client was at fault")
        ending = await relayed.ended()
        assert (ending.code, ending.cause) == (1008, "client: does not take what filters send")
        relayed.session.send_to_client("too late")
        relayed.session.send_to_backend(b"too late")
        assert stage.relay._held_bytes.count == 0


async def test_a_large_message_that_waits_leaves_room_for_what_filters_send(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(filters=[Does(lambda session, message: bytes(20_000_000))])
        await relayed.client.send_text("hi")
        with anyio.fail_after(10):
            while relayed.session.held < 5_000_000:
                await checkpoint()
        relayed.session.send_to_backend("and this")
        assert len((await relayed.backend.receive_frame()).data) == 20_000_000
        assert await relayed.backend.receive_text() == "and this"


@BOTH
async def test_what_filters_send_to_a_lost_peer_is_gone(relaying: Any, sender: str) -> None:
    """While a hook takes its time, its sender is not read, and so not known to be lost."""
    asked, go = anyio.Event(), anyio.Event()

    async def wait(message: Message) -> Message:
        asked.set()
        await go.wait()
        return message

    async with relaying() as stage:
        relayed = stage.open(SOON, filters=[DoesLater(lambda session, message: wait(message))])
        source, sink = ends(relayed, sender)
        await source.send_text("hi")
        await asked.wait()
        source.reset()
        for _ in range(10):
            relayed.session.send_to_client("late")
            relayed.session.send_to_backend("late")
            await checkpoint()
        go.set()
        got = [await sink.receive_text() for _ in range(11)]
        assert got == ["late"] * 10 + ["hi"]
        assert (await relayed.ended()).code == 1006


# Slow peers


async def test_a_slow_reader_bounds_what_a_filter_makes_of_a_read(relaying: Any) -> None:
    """Each message becomes a large one; the next is read when there is room for it."""
    grows = Does(lambda session, message: bytes(200_000))
    async with relaying() as stage:
        relayed = stage.open(filters=[grows])
        await relayed.client.send(relayed.client.frame(Opcode.BINARY, b"x") * 300)
        most = 0
        for _ in range(300):
            await checkpoint()
            most = max(most, relayed.session.held)
            assert len((await relayed.backend.receive_frame()).data) == 200_000
        assert most < 1_000_000
        assert relayed.session.held == 0


@EVERY
async def test_who_reads_too_slowly_is_1008(relaying: Any, kind: Any) -> None:
    async with relaying() as stage:
        grows = kind(lambda session, message: bytes(20_000_000))
        relayed = stage.open(Limits(close=0.3, slow_reader=0.3), filters=[grows])
        await relayed.client.send_text("hi")
        assert await relayed.client.receive_close() == (1001, "the backend was at fault")
        ending = await relayed.ended()
        assert (ending.code, ending.cause) == (1008, "backend: reads too slowly")


@EVERY
async def test_pongs_that_nobody_asked_for_pass_however_many(relaying: Any, kind: Any) -> None:
    """They stop the reader while a ping of ours is to be answered."""
    async with relaying() as stage:
        relayed = stage.open(filters=[kind(lambda session, message: message)])
        client, backend = relayed.client, relayed.backend
        relayed.session.ping()
        ping = await client.receive_frame()
        frames = [client.frame(Opcode.PONG, b"x")] * 2000
        frames += [client.frame(Opcode.PONG, bytes(ping.data)), client.frame(Opcode.TEXT, b"end")]
        await client.send(b"".join(frames))
        got = [await backend.receive_frame() for _ in range(2002)]
        got = [each for each in got if each.opcode is not Opcode.PING]
        assert {each.opcode for each in got[:2000]} == {Opcode.PONG}
        assert bytes(got[-1].data) == b"end"


async def test_a_slow_reader_bounds_what_is_made_of_compressed_messages(relaying: Any) -> None:
    noise = os.urandom(1_100_000)  # more than is inflated at once
    becomes = Does(lambda session, message: noise)
    becomes.reads = Reads(max_size=len(noise))
    async with relaying() as stage:
        relayed = stage.open(filters=[becomes], agreed=Agreed())
        await relayed.client.send(compressed(relayed.client, bytes(len(noise))) * 20)
        most = 0
        for _ in range(20):
            await checkpoint()
            most = max(most, relayed.session.held)
            head = await relayed.backend.receive_exactly(14)
            await relayed.backend.receive_exactly(int.from_bytes(head[2:10]))
        assert most < 3_000_000


# The life of a session


class Follows(Filter):
    """Notes what it is told, and does what the test says."""

    kind = "Follows"
    tick = 0.05

    def __init__(self, **does: Callable[..., Any]) -> None:
        super().__init__("follows", {})
        self.does = does
        self.heard: list[Any] = []

    def _hear(self, what: str, session: Session) -> Any:
        self.heard.append(what)
        return self.does[what](session) if what in self.does else None

    def on_open(self, session: Session) -> Any:
        return self._hear("open", session)

    def on_message(self, session: Session, message: Message) -> Message:
        self.heard.append(message.data)
        return message

    def on_close(self, session: Session, ending: Ending) -> Any:
        return self._hear(f"close {ending.code}", session)


class Ticks(Filter):
    """Counts ticks."""

    kind = "Ticks"
    tick = 0.02

    def __init__(self, does: Callable[[Session, int], Any] = lambda session, count: None) -> None:
        super().__init__("ticks", {})
        self.does = does
        self.count = 0

    def on_tick(self, session: Session) -> Any:
        self.count += 1
        return self.does(session, self.count)


async def test_no_message_comes_before_on_open_has_returned(relaying: Any) -> None:
    go = anyio.Event()

    async def wait(session: Session) -> None:
        session.send_to_client("welcome")
        await go.wait()
        follows.heard.append("opened")

    follows = Follows(open=wait)
    async with relaying() as stage:
        early = b"\x81\x81\0\0\0\0a"
        relayed = stage.open(filters=[follows], from_client=early)
        await relayed.client.send_text("b")
        await relayed.backend.send_text("c")
        assert await relayed.client.receive_text() == "welcome"
        await anyio.sleep(0.02)
        assert follows.heard == ["open"]
        go.set()
        assert await texts(relayed.backend, 2) == ["a", "b"]
        assert await relayed.client.receive_text() == "c"
        assert follows.heard[:2] == ["open", "opened"]


async def test_a_session_that_ends_while_on_open_waits_is_over(relaying: Any) -> None:
    follows = Follows(open=lambda session: anyio.sleep_forever())
    async with relaying() as stage:
        relayed = stage.open(SOON, filters=[follows])
        relayed.session.close(1001, "stopping")
        assert await relayed.client.receive_close() == (1001, "stopping")
        await relayed.ended()
        assert follows.heard == ["open", "close 1001"]


async def test_on_close_ends_before_the_connection_is_given_back(relaying: Any) -> None:
    order: list[str] = []

    async def wait(session: Session) -> None:
        await anyio.sleep(0.02)
        order.append(f"closed, {session.traffic()[0].messages} messages, held {session.held}")
        session.send_to_client("too late")
        session.close(1000, "again")

    follows = Follows(**{"close 1000": wait})
    async with relaying() as stage:
        relayed = stage.open(filters=[follows])
        close = relayed.client.frame(Opcode.CLOSE, b"\x03\xe8")
        await relayed.client.send(relayed.client.frame(Opcode.TEXT, b"hi") + close)
        assert await relayed.backend.receive_text() == "hi"
        await relayed.backend.answer_close()
        relayed.backend.close()
        relayed.client.close()
        assert not relayed.endings
        await relayed.ended()
        order.append("over")
        assert order == ["closed, 1 messages, held 0", "over"]
        assert follows.heard == ["open", "hi", "close 1000"]


async def test_a_session_ticks_until_it_closes_and_no_tick_overtakes_another(relaying: Any) -> None:
    at_work, overlaps = [0], [0]

    async def work() -> None:
        at_work[0] += 1
        overlaps[0] = max(overlaps[0], at_work[0])
        await anyio.sleep(0.15)
        at_work[0] -= 1

    done = anyio.Event()

    def act(session: Session, count: int) -> Any:
        if count == 3:
            session.close(4000, "three ticks")
            done.set()
            return None
        session.send_to_client(f"tick {count}")
        return work()

    ticks = Ticks(act)
    async with relaying() as stage:
        relayed = stage.open(SOON, filters=[ticks])
        assert await texts(relayed.client, 2) == ["tick 1", "tick 2"]
        assert await relayed.client.receive_close() == (4000, "three ticks")
        await done.wait()
        await relayed.ended()
        assert (ticks.count, overlaps[0]) == (3, 1)


async def test_a_session_has_notes_a_clock_and_sleep(relaying: Any) -> None:
    class Seen:
        def __init__(self) -> None:
            self.count = 0

    async def act(session: Session, message: Message) -> str:
        began = session.now()
        await session.sleep(0.01)
        assert session.now() - began >= 0.005
        if Seen not in session.notes:
            session.notes.put(Seen())
        session.notes[Seen].count += 1
        return f"{session.notes[Seen].count}"

    async with relaying() as stage:
        relayed = stage.open(filters=[Does(act)])
        await relayed.client.send_text("x")
        await relayed.client.send_text("x")
        assert await texts(relayed.backend, 2) == ["1", "2"]


# Filters that misbehave


async def _cancels(session: Session, message: Message) -> None:
    raise anyio.get_cancelled_exc_class()()


async def _sleeps(session: Session, message: Message) -> None:
    await anyio.sleep_forever()


def _raises(session: Session, message: Message) -> None:
    raise BaseException("oh")


def _injects(session: Session, message: Message) -> Message:
    for _ in range(100):
        session.send_to_client(bytes(100_000))
        session.send_to_backend(bytes(100_000))
    return message


def _bytes(message: Message) -> bytes:
    assert isinstance(message.data, bytes)
    return message.data


MISBEHAVES = {
    "cancels": _cancels,
    "sleeps": _sleeps,
    "raises": _raises,
    "injects": _injects,
    "blocks": lambda session, message: time.sleep(0.06),
    "returns nonsense": lambda session, message: object(),
}


@pytest.mark.parametrize("how", MISBEHAVES)
async def test_what_a_filter_does_wrong_stays_in_its_session(
    relaying: Any, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    bad, good = (
        Does(MISBEHAVES[how]),
        Does(lambda session, message: message.with_data(_bytes(message) + b"!")),
    )
    async with relaying() as stage:
        wrong = [stage.open(SOON, filters=[bad]) for _ in range(3)]
        fine = [stage.open(filters=[good]) for _ in range(3)]
        for number in range(20):
            for relayed in wrong:
                with suppress(OSError):
                    relayed.client.sock.send(relayed.client.frame(Opcode.BINARY, b"x"))
            for relayed in fine:
                payload = str(number).encode()
                await relayed.client.send(relayed.client.frame(Opcode.BINARY, payload))
                assert bytes((await relayed.backend.receive_frame()).data) == payload + b"!"
        assert sum(relayed.session.held for relayed in fine) == 0
        assert stage.relay._held_bytes.count < 3 * 11_000_000
