"""RFC 6455 case by case, through the relay on real sockets: as a tunnel, past a filter that only
looks at messages, and past one that rewrites each of them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from tests.wsproxy.loops import plain_only
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, Message, TextMessage
from wsproto.events import Ping as WsprotoPing

from easews import Filter, Session
from easews import Message as Read
from easews_wsproxy.relay.forwarding import send_ping
from easews_wsproxy.relay.watchdog import Limits

pytestmark = pytest.mark.slow  # on one Python is enough

SOON = Limits(close=0.3)
BOTH = pytest.mark.parametrize("sender", ["client", "backend"])


class Looks(Filter):
    """Looks at messages."""

    kind = "Looks"

    def on_message(self, session: Session, message: Read) -> Read:
        return message


class Rewrites(Filter):
    """Encodes each message anew."""

    kind = "Rewrites"

    def on_message(self, session: Session, message: Read) -> Read:
        return message.with_data(message.data)


WAYS: dict[str, list[Filter]] = {
    "tunnel": [],
    "looks": [Looks("looks", {})],
    "rewrites": [Rewrites("rewrites", {})],
}


@pytest.fixture
def tunnel(relaying: Any) -> Any:
    """A relay of sessions whose messages nobody reads."""
    return relaying


def _through(relaying: Any, filters: list[Filter]) -> Any:
    @asynccontextmanager
    async def relaying_with_filters() -> AsyncIterator[Any]:
        async with relaying() as stage:
            stage.filters = filters
            yield stage

    return relaying_with_filters


@pytest.fixture(params=WAYS)
def every_way(request: pytest.FixtureRequest, relaying: Any) -> Any:
    """A relay, with and without filters that read messages."""
    return _through(relaying, WAYS[request.param])


@pytest.fixture(params=["looks", "rewrites"])
def reading(request: pytest.FixtureRequest, relaying: Any) -> Any:
    """A relay of sessions whose messages are read."""
    return _through(relaying, WAYS[request.param])


def ends(relayed: Any, sender: str) -> tuple[Any, Any]:
    """Who sends and who receives."""
    pair = relayed.client, relayed.backend
    return pair if sender == "client" else pair[::-1]


def head(sender: str, first: int, length: bytes) -> bytes:
    """A header whose length is written as told."""
    if sender == "backend":
        return bytes([first]) + length
    return bytes([first, length[0] | 0x80]) + length[1:] + b"mask"


# What passes, byte for byte

PASSING = {
    "control frames between fragments": [
        Frame(Opcode.TEXT, b"one ", fin=False),
        Frame(Opcode.PING, b"?"),
        Frame(Opcode.CONT, b"mess", fin=False),
        Frame(Opcode.PONG, b"!"),
        Frame(Opcode.PING, b""),
        Frame(Opcode.CONT, b"age"),
    ],
    "pings of 125 bytes": [Frame(Opcode.PING, b"x" * 125)] * 3,
    "pongs that nobody asked for": [Frame(Opcode.PONG, b""), Frame(Opcode.PONG, b"x" * 125)],
    "empty messages": [Frame(Opcode.TEXT, b""), Frame(Opcode.BINARY, b"")] * 3,
    "empty fragments": [
        Frame(Opcode.BINARY, b"", fin=False),
        Frame(Opcode.CONT, b"", fin=False),
        Frame(Opcode.CONT, b""),
    ],
    "lengths at the edges": [
        Frame(Opcode.BINARY, b"x" * length) for length in (0, 1, 125, 126, 127, 65535, 65536)
    ],
}


@pytest.mark.parametrize("pinged", [False, True], ids=["", "while a ping of ours is pending"])
@pytest.mark.parametrize("case", PASSING)
@BOTH
async def test_frames_pass_byte_for_byte(tunnel: Any, sender: str, case: str, pinged: bool) -> None:
    async with tunnel() as stage, anyio.create_task_group() as tasks:
        relayed = stage.open()
        source, sink = ends(relayed, sender)
        if pinged:
            leg = getattr(relayed.session, sender)
            send_ping(leg, leg.heartbeat.ask(time.monotonic()))
        sent = b"".join(frame.serialize(mask=sender == "client") for frame in PASSING[case])
        tasks.start_soon(source.send, sent)
        assert await sink.receive_exactly(len(sent)) == sent


@pytest.mark.parametrize("case", PASSING)
@BOTH
async def test_messages_and_control_frames_pass_as_they_were_meant(
    reading: Any, sender: str, case: str
) -> None:
    def meant(frames: list[Frame]) -> tuple[list[bytes], list[tuple[Opcode, bytes]]]:
        data: list[bytes] = [b""]
        controls: list[tuple[Opcode, bytes]] = []
        for frame in frames:
            if frame.opcode in (Opcode.PING, Opcode.PONG):
                controls.append((frame.opcode, bytes(frame.data)))
                continue
            data[-1] += bytes(frame.data)
            if frame.fin:
                data.append(b"")
        return data, controls

    async with reading() as stage, anyio.create_task_group() as tasks:
        source, sink = ends(stage.open(), sender)
        sent = [*PASSING[case], Frame(Opcode.PING, b"the end")]
        tasks.start_soon(source.send, b"".join(f.serialize(mask=source.masks) for f in sent))
        came = [await sink.receive_frame()]
        while bytes(came[-1].data) != b"the end":
            came.append(await sink.receive_frame())
        assert meant(came) == meant(sent)


@BOTH
async def test_a_message_of_a_hundred_thousand_fragments_is_read(reading: Any, sender: str) -> None:
    async with reading() as stage, anyio.create_task_group() as tasks:
        source, sink = ends(relayed := stage.open(), sender)
        sent = source.frame(Opcode.TEXT, b"x", fin=False)
        sent += source.frame(Opcode.CONT, b"x", fin=False) * 100_000 + source.frame(Opcode.CONT)
        tasks.start_soon(source.send, sent)
        data = b""
        while True:
            frame = await sink.receive_frame()
            data += bytes(frame.data)
            if frame.fin:
                break
        assert data == b"x" * 100_001
        assert relayed.session.held == 0


@BOTH
async def test_a_reset_in_the_middle_of_what_is_read_is_told_in_a_close(
    reading: Any, sender: str
) -> None:
    async with reading() as stage:
        relayed = stage.open(SOON)
        source, sink = ends(relayed, sender)
        await source.send(head(sender, 0x82, b"\x7e\x10\x00") + bytes(100))
        await source.send(b"")
        source.close()
        code = 1001 if sender == "client" else 1011
        assert await sink.receive_close() == (code, f"the {sender} was lost")


@BOTH
async def test_a_message_of_ours_never_splits_what_is_read(reading: Any, sender: str) -> None:
    async with reading() as stage:
        source, sink = ends(relayed := stage.open(SOON), sender)
        await source.send(source.frame(Opcode.TEXT, b"half", fin=False))
        await source.send(source.frame(Opcode.PING, b"?"))
        assert (await sink.receive_frame()).opcode is Opcode.PING
        relayed.session.close(1001, "stopping")
        assert await sink.receive_close() == (1001, "stopping")


@BOTH
async def test_a_message_of_a_hundred_thousand_fragments_passes(tunnel: Any, sender: str) -> None:
    async with tunnel() as stage, anyio.create_task_group() as tasks:
        relayed = stage.open()
        source, sink = ends(relayed, sender)
        sent = source.frame(Opcode.TEXT, b"x", fin=False)
        sent += source.frame(Opcode.CONT, b"x", fin=False) * 100_000 + source.frame(Opcode.CONT)
        tasks.start_soon(source.send, sent)
        assert await sink.receive_exactly(len(sent)) == sent
        traffic = relayed.session.traffic()[sender == "backend"]
        assert (traffic.messages, traffic.bytes) == (1, len(sent))


@BOTH
async def test_the_longest_frame_there_can_be_may_begin(tunnel: Any, sender: str) -> None:
    async with tunnel() as stage:
        relayed = stage.open(SOON)
        source, sink = ends(relayed, sender)
        sent = head(sender, 0x82, b"\x7f\x7f" + b"\xff" * 7) + b"and so on"
        await source.send(sent)
        assert await sink.receive_exactly(len(sent)) == sent
        source.close()
        await sink.receive_end()


# What does not: 1002 to who sent it, 1001 to the other side, and nothing of it goes on

#: The first bytes of frames with reserved bits, by themselves and together, and reserved opcodes.
RESERVED = [
    *(0x80 | bits | opcode for bits in range(0x10, 0x80, 0x10) for opcode in (1, 2, 8, 9, 10)),
    *(fin | opcode for fin in (0x00, 0x80) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
]
REFUSED = {
    "a length of 2^63": (0x82, b"\x7f\x80" + bytes(7)),
    "125 in three bytes": (0x82, b"\x7e\x00\x7d"),
    "65535 in nine bytes": (0x82, b"\x7f\0\0\0\0\0\0\xff\xff"),
    "RSV1, which nothing was agreed on": (0xC1, b"\x00"),
    "a reserved opcode": (0x83, b"\x00"),
    "a fragmented ping": (0x09, b"\x00"),
    "a fragmented pong": (0x0A, b"\x00"),
    "a ping of 126 bytes": (0x89, b"\x7e\x00\x7e"),
    "a Close of 126 bytes": (0x88, b"\x7e\x00\x7e"),
    "a continuation of nothing": (0x80, b"\x00"),
    "one that is not the last": (0x00, b"\x00"),
}


@pytest.mark.parametrize("case", REFUSED)
@BOTH
async def test_a_frame_that_breaks_a_rule_is_1002(every_way: Any, sender: str, case: str) -> None:
    async with every_way() as stage:
        relayed = stage.open()
        source, sink = ends(relayed, sender)
        await source.send_text("fine")
        await source.send(head(sender, *REFUSED[case]))
        assert await sink.receive_text() == "fine"
        assert await sink.answer_close() == (1001, f"the {sender} was at fault")
        assert (await source.receive_close())[0] == 1002


@plain_only
@BOTH
async def test_every_reserved_bit_and_opcode_is_1002(every_way: Any, sender: str) -> None:
    async with every_way() as stage:
        for first in RESERVED:
            source, sink = ends(stage.open(), sender)
            await source.send(head(sender, first, b"\x00"))
            assert await sink.answer_close() == (1001, f"the {sender} was at fault"), first
            assert (await source.receive_close())[0] == 1002


@pytest.mark.parametrize("first", [0x81, 0x02])
@BOTH
async def test_a_message_inside_of_another_is_1002(reading: Any, sender: str, first: int) -> None:
    async with reading() as stage:
        source, sink = ends(stage.open(), sender)
        await source.send(source.frame(Opcode.TEXT, b"half", fin=False) + source.frame(Opcode.PING))
        await source.send(head(sender, first, b"\x00"))
        assert (await sink.receive_frame()).opcode is Opcode.PING
        assert await sink.answer_close() == (1001, f"the {sender} was at fault")
        assert (await source.receive_close())[0] == 1002


@BOTH
async def test_rsv1_on_a_continuation_is_1002_even_with_deflate(tunnel: Any, sender: str) -> None:
    async with tunnel() as stage:
        relayed = stage.open(deflate=True)
        source, sink = ends(relayed, sender)
        start = head(sender, 0x41, b"\x00")
        await source.send(start + head(sender, 0xC0, b"\x00"))
        assert await sink.receive_exactly(len(start)) == start
        assert (await sink.answer_close())[0] == 1001
        assert (await source.receive_close())[0] == 1002


# Close

PASSED_CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3333, 3999, 4000, 4444, 4999]
REFUSED_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]
PASSED_CLOSES = [
    b"",
    *(code.to_bytes(2) for code in PASSED_CODES),
    *(b"\x03\xe8" + b"r" * (size - 2) for size in (3, 123, 124, 125)),
    b"\x03\xe8" + "€".encode() * 41,
]
REFUSED_CLOSES = [
    b"\x03",
    *(code.to_bytes(2) for code in REFUSED_CODES),
    *(b"\x03\xe8" + reason for reason in (b"\xff", b"caf\xc3", b"\xed\xa0\x80", b"\xc0\xaf")),
]


@BOTH
async def test_every_close_that_may_be_sent_passes_with_its_answer(
    every_way: Any, sender: str
) -> None:
    async with every_way() as stage:
        for payload in PASSED_CLOSES:
            relayed = stage.open()
            source, sink = ends(relayed, sender)
            for one, other in ((source, sink), (sink, source)):
                close = one.frame(Opcode.CLOSE, payload)
                await one.send(close)
                assert await other.receive_exactly(len(close)) == close
            relayed.backend.close()
            await relayed.client.receive_end()
            relayed.client.close()
            ending = await relayed.ended()
            assert (ending.by, ending.code) == (sender, int.from_bytes(payload[:2]) or 1005)


@BOTH
async def test_every_close_that_must_not_be_sent_is_1002(every_way: Any, sender: str) -> None:
    async with every_way() as stage:
        for payload in REFUSED_CLOSES:
            relayed = stage.open()
            source, sink = ends(relayed, sender)
            await source.send(source.frame(Opcode.CLOSE, payload))
            assert await sink.answer_close() == (1001, f"the {sender} was at fault"), payload
            assert (await source.receive_close())[0] == 1002


async def test_closes_that_cross_each_other_both_arrive(every_way: Any) -> None:
    async with every_way() as stage:
        relayed = stage.open()
        relayed.client.sock.send(relayed.client.frame(Opcode.CLOSE, b"\x0b\xb8mine"))
        relayed.backend.sock.send(relayed.backend.frame(Opcode.CLOSE, b"\x0f\xa0yours"))
        assert await relayed.client.receive_close() == (4000, "yours")
        assert await relayed.backend.receive_close() == (3000, "mine")
        relayed.backend.close()
        await relayed.client.receive_end()
        relayed.client.close()
        assert (await relayed.ended()).code in (3000, 4000)


async def test_what_a_side_sends_before_it_answers_a_close_still_arrives(every_way: Any) -> None:
    async with every_way() as stage:
        relayed = stage.open()
        await relayed.client.send(relayed.client.frame(Opcode.CLOSE, b"\x03\xe8"))
        await relayed.backend.receive_close()
        await relayed.backend.send_text("one more thing")
        await relayed.backend.send(relayed.backend.frame(Opcode.CLOSE, b"\x03\xe8"))
        assert await relayed.client.receive_text() == "one more thing"
        assert await relayed.client.receive_close() == (1000, "")


@BOTH
async def test_what_follows_a_close_is_thrown_away_and_the_session_ends(
    every_way: Any, sender: str
) -> None:
    async with every_way() as stage:
        relayed = stage.open(SOON)
        source, sink = ends(relayed, sender)
        close = source.frame(Opcode.CLOSE, b"\x03\xe8")
        await source.send(close + b"neither a frame nor anything else" * 10_000)
        await sink.receive_exactly(len(close))
        await sink.send(sink.frame(Opcode.CLOSE, b"\x03\xe8"))
        assert await source.receive_close() == (1000, "")
        await sink.receive_end()
        assert (await relayed.ended()).by == sender


@BOTH
async def test_who_never_answers_a_close_of_the_other_side_is_cut_off(
    every_way: Any, sender: str
) -> None:
    async with every_way() as stage:
        relayed = stage.open(SOON)
        source, sink = ends(relayed, sender)
        await source.send(source.frame(Opcode.CLOSE, b"\x03\xe9"))
        assert await sink.receive_close() == (1001, "")
        await sink.receive_end()
        await source.receive_end()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == (sender, 1001)


# Ends without a Close


@BOTH
async def test_a_reset_in_the_middle_of_a_frame_ends_the_other_side_bare(
    tunnel: Any, sender: str
) -> None:
    async with tunnel() as stage:
        relayed = stage.open(SOON)
        source, sink = ends(relayed, sender)
        sent = head(sender, 0x82, b"\x7e\x10\x00") + bytes(100)
        await source.send(sent)
        assert await sink.receive_exactly(len(sent)) == sent
        source.reset()
        await sink.receive_end()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == (sender, 1006)


@BOTH
async def test_a_reset_in_the_middle_of_a_message_is_told_in_a_close(
    tunnel: Any, sender: str
) -> None:
    async with tunnel() as stage:
        relayed = stage.open()
        source, sink = ends(relayed, sender)
        await source.send(source.frame(Opcode.TEXT, b"half", fin=False))
        assert bytes((await sink.receive_frame()).data) == b"half"
        source.reset()
        code = 1001 if sender == "client" else 1011
        assert await sink.receive_close() == (code, f"the {sender} was lost")


@BOTH
async def test_who_has_only_stopped_sending_gets_what_was_on_its_way(
    every_way: Any, sender: str
) -> None:
    async with every_way() as stage:
        relayed = stage.open()
        source, sink = ends(relayed, sender)
        source.half_close()
        code, _ = await sink.receive_close()
        await sink.send_text("still for you")
        await sink.send(sink.frame(Opcode.CLOSE, code.to_bytes(2)))
        assert await source.receive_text() == "still for you"
        assert await source.receive_close() == (code, "")
        await source.receive_end()


# Far ends that behave as whole implementations do


async def _run(peer: Any, protocol: Protocol) -> None:
    """Until the connection has ended."""
    while protocol.state is not State.CLOSED:
        for data in protocol.data_to_send():
            if data:
                await peer.send(data)
            else:
                peer.half_close()
        received = await peer.receive()
        if received:
            protocol.receive_data(received)
        else:
            protocol.receive_eof()


@BOTH
async def test_two_ends_on_websockets_close_cleanly(every_way: Any, sender: str) -> None:
    async with every_way() as stage:
        relayed = stage.open()
        protocols = {"client": Protocol(Side.CLIENT), "backend": Protocol(Side.SERVER)}
        protocols[sender].send_ping(b"there?")
        protocols[sender].send_text(b"hello")
        protocols[sender].send_close(1000, "done")
        async with anyio.create_task_group() as tasks:
            for role, protocol in protocols.items():
                tasks.start_soon(_run, getattr(relayed, role), protocol)
        for protocol in protocols.values():
            assert (protocol.close_code, protocol.close_reason) == (1000, "done")
        relayed.backend.close()
        relayed.client.close()
        assert (await relayed.ended()).code == 1000


async def test_a_client_on_wsproto_gets_a_fragmented_message(tunnel: Any) -> None:
    async with tunnel() as stage:
        relayed = stage.open()
        client = Connection(ConnectionType.CLIENT)
        await relayed.client.send(client.send(TextMessage("x", message_finished=False)))
        await relayed.client.send(client.send(WsprotoPing(b"between")))
        await relayed.client.send(client.send(TextMessage("y")))
        for opcode, data in ((Opcode.TEXT, b"x"), (Opcode.PING, b"between"), (Opcode.CONT, b"y")):
            frame = await relayed.backend.receive_frame()
            assert (frame.opcode, bytes(frame.data)) == (opcode, data)
            await relayed.backend.send(relayed.backend.frame(opcode, data, fin=frame.fin))
        await relayed.backend.send(relayed.backend.frame(Opcode.CLOSE, b"\x03\xe8"))
        events: list[Any] = []
        while not events or not isinstance(events[-1], CloseConnection):
            client.receive_data(await relayed.client.receive())
            events += client.events()
        assert "".join(one.data for one in events if isinstance(one, Message)) == "xy"
        assert events[-1].code == 1000
