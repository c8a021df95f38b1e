"""Messages through filters, case by case as the Autobahn suite has them: UTF-8 (6.*), sizes and
cuts (9.* and 10.*), compression and its parameters (12.* and 13.*).

One peer or the other sends; the filter looks at each message, or writes each of them anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.wsproxy.deflating import (
    KINDS,
    Compressor,
    Decompressor,
    NotesCompressed,
    compressed,
    cut,
)
from tests.wsproxy.loops import plain_only
from websockets.frames import Frame, Opcode

from easews import Data, Filter, Message, Reads, Sender, Session
from easews_wsproxy.messages.deflate import Agreed
from easews_wsproxy.relay.watchdog import Limits

pytestmark = [pytest.mark.slow, plain_only]  # on one Python is enough

SOON = Limits(close=0.3)
BOTH = pytest.mark.parametrize("sender", ["client", "backend"])
LIMIT = 16 << 20


class Looks(Filter):
    """Looks at messages."""

    kind = "Looks"
    reads = Reads(max_size=LIMIT)

    def on_message(self, session: Session, message: Message) -> Message:
        return message


class Rewrites(Looks):
    """Encodes each message anew."""

    kind = "Rewrites"

    def on_message(self, session: Session, message: Message) -> Message:
        return message.with_data(message.data)


class RewritesLater(Filter):
    """Encodes each message anew, after a wait."""

    kind = "RewritesLater"
    reads = Reads(max_size=LIMIT)

    async def on_message(self, session: Session, message: Message) -> Message:
        await checkpoint()
        return message.with_data(message.data)


class RewritesSome(Looks):
    """Encodes every other message anew."""

    kind = "RewritesSome"
    count = 0

    def on_message(self, session: Session, message: Message) -> Message:
        self.count += 1
        return message.with_data(message.data) if self.count % 2 else message


@pytest.fixture(params=[Looks, Rewrites])
def reading(request: pytest.FixtureRequest, relaying: Any) -> Any:
    """A relay of sessions whose messages are read."""

    @asynccontextmanager
    async def relaying_with_filters() -> AsyncIterator[Any]:
        async with relaying() as stage:
            stage.filters = [request.param("filter", {})]
            yield stage

    return relaying_with_filters


def ends(relayed: Any, sender: str) -> tuple[Any, Any]:
    """Who sends and who receives."""
    pair = relayed.client, relayed.backend
    return pair if sender == "client" else pair[::-1]


def wire(source: Any, frames: Sequence[Frame]) -> bytes:
    return b"".join(frame.serialize(mask=source.masks) for frame in frames)


async def receive_data(sink: Any) -> tuple[Opcode, bytes]:
    """The message that comes next, as one frame would be."""
    frames = [await sink.receive_frame()]
    while not frames[-1].fin:
        frames.append(await sink.receive_frame())
    return frames[0].opcode, b"".join(bytes(frame.data) for frame in frames)


# 6.*: UTF-8

#: Letters of two bytes, and one of three.
KOSME = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
VALID = {
    "prefixes": [KOSME[:end].decode() for end in (0, 2, 5, 7, 9, 11)],
    "words": ["hello$world", "hello¢world", "hello€world", "hello𤭢world"],
    "the first of each length": ["\0", "\x80", "\u0800", "\U00010000"],
    "the last of each length": ["\x7f", "\u07ff", "\uffff", "\U0010ffff"],
    "around the surrogates": ["\ud7ff", "\ue000", "\ufffd"],
    "specials": [chr(code) for code in range(0xFFF9, 0x10000)],
    "no characters": [chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)],
}
MISSING_THEIR_LAST = [
    b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80",
    b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf",
]  # fmt: skip
INVALID = {
    "prefixes": [KOSME[:end] for end in (1, 3, 4, 6, 8, 10)],
    "past the last": [b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf"],
    "five and six bytes": [
        *(b"\xf8\x88\x80\x80\x80", b"\xfb\xbf\xbf\xbf\xbf"),
        *(b"\xfc\x84\x80\x80\x80\x80", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
    ],
    "continuations alone": [(b"\x80\xbf" * 4)[:size] for size in range(1, 8)]
    + [bytes(range(0x80, 0xC0))],
    "starts alone": [
        b"".join(bytes((first, 0x20)) for first in range(begin, end))
        for begin, end in ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))
    ],
    "without the last byte": [*MISSING_THEIR_LAST, b"".join(MISSING_THEIR_LAST)],
    "impossible bytes": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    "a slash too long": [
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf8\x80\x80\x80\xaf",
    ],
    "the last too long": [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"],
    "a null too long": [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80"],
    "surrogates": [bytes((0xED, second, 0x80)) for second in range(0xA0, 0xC0)],
    "pairs of surrogates": [b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf"],
}


@BOTH
async def test_every_valid_text_passes_whole_and_byte_by_byte(reading: Any, sender: str) -> None:
    async with reading() as stage:
        source, sink = ends(stage.open(), sender)
        for text in (text for texts in VALID.values() for text in texts):
            payload = text.encode()
            for frames in ([Frame(Opcode.TEXT, payload)], cut(Opcode.TEXT, payload, 1)):
                await source.send(wire(source, frames))
                assert await receive_data(sink) == (Opcode.TEXT, payload)


@pytest.mark.parametrize("how", ["whole", "byte by byte", "compressed"])
@BOTH
async def test_every_invalid_text_is_1007_and_none_of_it_goes_on(
    reading: Any, sender: Sender, how: str
) -> None:
    agreed = Agreed() if how == "compressed" else None
    async with reading() as stage:
        for payload in (payload for payloads in INVALID.values() for payload in payloads):
            source, sink = ends(stage.open(SOON, agreed=agreed), sender)
            sent = wire(source, cut(Opcode.TEXT, payload, 1 if how == "byte by byte" else 1000))
            if how == "compressed":
                sent = as_text(compressed(payload, Compressor(Agreed(), sender), source.masks))
            await source.send(sent)
            assert await sink.answer_close() == (1001, f"the {sender} was at fault"), payload
            assert (await source.receive_close())[0] == 1007


def as_text(message: bytes) -> bytes:
    """The same message, said to be a text."""
    return bytes([message[0] - Opcode.BINARY + Opcode.TEXT]) + message[1:]


#: What has come when it is known to be bad: of fragments, or of one frame that is not all there.
BAD_ALREADY = [(KOSME, b"\xf4\x90"), (b"ok", b"\xed\xa0\x80")]


@pytest.mark.parametrize("in_fragments", [True, False])
@BOTH
async def test_bad_utf8_is_1007_before_the_rest_of_the_message_has_come(
    reading: Any, sender: str, in_fragments: bool
) -> None:
    async with reading() as stage:
        for good, bad in BAD_ALREADY:
            source, sink = ends(stage.open(SOON), sender)
            if in_fragments:
                await source.send(wire(source, [Frame(Opcode.TEXT, good + bad[:1], fin=False)]))
                await checkpoint()
                await source.send(wire(source, [Frame(Opcode.CONT, bad[1:], fin=False)]))
            else:
                sent = wire(source, [Frame(Opcode.TEXT, good + bad + b"\x80\x80 and so on")])
                await source.send(sent[: -len(b"\x80\x80 and so on")])
            assert await sink.answer_close() == (1001, f"the {sender} was at fault")
            assert (await source.receive_close())[0] == 1007


# 9.* and 10.*: sizes, fragments and chops

KIB, MIB = 1 << 10, 1 << 20


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@BOTH
async def test_messages_of_up_to_16_mib_pass(reading: Any, sender: str, opcode: Opcode) -> None:
    async with reading() as stage:
        source, sink = ends(relayed := stage.open(), sender)
        for size in (64 * KIB, 256 * KIB, MIB, 4 * MIB, LIMIT):
            payload = b"0123456789abcdef" * (size // 16)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(source.send, wire(source, [Frame(opcode, payload)]))
                assert await receive_data(sink) == (opcode, payload)
            assert relayed.session.held == 0


@pytest.mark.parametrize(
    ("size", "fragment"),
    [(256 * KIB, 64), (MIB, 1024), (4 * MIB, 16 * KIB), (4 * MIB, MIB), (64 * KIB, 1300)],
)
@BOTH
async def test_large_messages_pass_in_fragments(
    reading: Any, sender: str, size: int, fragment: int
) -> None:
    payload = b"0123456789abcdef" * (size // 16)
    async with reading() as stage, anyio.create_task_group() as tasks:
        source, sink = ends(stage.open(), sender)
        frames = cut(Opcode.TEXT, payload, fragment)
        tasks.start_soon(source.send, wire(source, frames))
        assert await receive_data(sink) == (Opcode.TEXT, payload)


@pytest.mark.parametrize(("size", "chop"), [(20, 1), (600, 1), (65_536, 997), (100_000, 128)])
@BOTH
async def test_messages_pass_that_come_in_chops(
    reading: Any, sender: str, size: int, chop: int
) -> None:
    payload = b"0123456789" * (size // 10)
    async with reading() as stage, anyio.create_task_group() as tasks:
        source, sink = ends(stage.open(), sender)
        sent = wire(source, [Frame(Opcode.TEXT, payload), Frame(Opcode.BINARY, b"next")])

        async def send_chops() -> None:
            for at in range(0, len(sent), chop):
                await source.send(sent[at : at + chop])
                await checkpoint()

        tasks.start_soon(send_chops)
        assert await receive_data(sink) == (Opcode.TEXT, payload)
        assert await receive_data(sink) == (Opcode.BINARY, b"next")


# 12.* and 13.*: compression

#: Sizes of messages, and of the fragments that they are sent in; 0 is one frame.
SIZES = [
    *((size, 0) for size in (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)),
    *((size, 256) for size in (8192, 16384, 32768, 65536, 131072)),
    *((131072, fragment) for fragment in (1024, 4096, 32768)),
]
FEW_SIZES = [(16, 0), (1024, 0), (8192, 256), (16, 0), (65536, 1024), (131072, 0), (64, 0), (0, 0)]


def slices(data: Data, sizes: Sequence[tuple[int, int]]) -> list[tuple[Data, int]]:
    """Messages that follow one another in the data, which begins again where it ends."""
    endless = data + data[:131072]  # type: ignore[operator]
    messages, at = [], 0
    for size, fragment in sizes:
        messages.append((endless[at : at + size], fragment))
        at = (at + size) % len(data)
    return messages


async def pass_compressed(
    relayed: Any, sender: Sender, agreed: Agreed, messages: Sequence[tuple[Data, int]]
) -> list[bool]:
    """Have all of them sent compressed, and received as they were; which came compressed."""
    source, sink = ends(relayed, sender)
    compressor, decompressor = Compressor(agreed, sender), Decompressor(agreed, sender)
    notes = NotesCompressed()
    sink.extensions = [notes]

    async def send() -> None:
        for data, fragment in messages:
            await source.send(compressed(data, compressor, source.masks, fragment))

    came: list[bool] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        for data, _ in messages:
            opcode, payload = await receive_data(sink)
            came.append(notes.compressed)
            if came[-1]:
                payload = decompressor.decompress(payload)
            assert (payload.decode() if opcode is Opcode.TEXT else payload) == data
    assert relayed.session.held == 0
    return came


@pytest.mark.parametrize("kind", KINDS)
async def test_compressed_messages_of_every_kind_and_size_pass(reading: Any, kind: str) -> None:
    messages = slices(KINDS[kind], SIZES)
    async with reading() as stage:
        relayed = stage.open(agreed=Agreed())
        for sender in ("client", "backend"):
            came = await pass_compressed(relayed, sender, Agreed(), messages)
            assert all(came)


AGREEMENTS = {
    "nothing said": Agreed(),
    "the server forgets": Agreed(server_forgets=True),
    "the client forgets": Agreed(client_forgets=True),
    "both forget": Agreed(client_forgets=True, server_forgets=True),
    "a small window of the server": Agreed(server_bits=9),
    "a small window of the client": Agreed(client_bits=9),
    **{f"windows of {bits} bits": Agreed(bits, bits) for bits in (8, 9, 12, 15)},
    "the smallest window of the server": Agreed(server_bits=8),
    "the smallest window of the client": Agreed(client_bits=8),
    "the smallest, which forget": Agreed(8, 8, client_forgets=True, server_forgets=True),
    "small ones, which forget": Agreed(9, 9, client_forgets=True, server_forgets=True),
    "large ones, which forget": Agreed(15, 15, client_forgets=True, server_forgets=True),
    "each of its own": Agreed(10, 14, client_forgets=True),
}


@pytest.mark.parametrize("filter_type", [Looks, Rewrites, RewritesLater, RewritesSome])
@pytest.mark.parametrize("case", AGREEMENTS)
async def test_what_passes_is_compressed_as_agreed(
    relaying: Any, case: str, filter_type: type[Filter]
) -> None:
    """In a window of 8 bits, which zlib does not have, what is written anew is uncompressed."""
    agreed = AGREEMENTS[case]
    messages = slices(KINDS["json"], FEW_SIZES)
    bits: dict[Sender, int] = {"client": agreed.client_bits, "backend": agreed.server_bits}
    async with relaying() as stage:
        relayed = stage.open(agreed=agreed, filters=[filter_type("filter", {})])
        for sender in bits:
            came = await pass_compressed(relayed, sender, agreed, messages)
            if filter_type is Looks or bits[sender] > 8:
                assert all(came)
            elif filter_type is not RewritesSome or not agreed.forgets(sender):
                assert not any(came)
            else:
                assert came == [at % 2 == 1 for at in range(len(messages))]
