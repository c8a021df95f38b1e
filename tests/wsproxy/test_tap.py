"""Looking on at a session: every frame is told, and none is changed by that."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from easews import Filter, Frame, Message
from easews_wsproxy.relay.frames import encode_frame
from easews_wsproxy.relay.interest import can_splice, way_of
from easews_wsproxy.relay.loop import FORWARD, LOOK, REPORT
from easews_wsproxy.relay.sizes import LARGE_FRAME
from easews_wsproxy.relay.tap import SHOWN_BYTES, FrameTap

MASK = b"\x01\x80\x00\xff"
#: Pairs of a frame's first byte and its payload.
FRAMES = st.lists(
    st.tuples(
        st.sampled_from([0x81, 0x82, 0x01, 0x00, 0x80, 0xC1, 0x89, 0x8A]),
        st.one_of(st.binary(max_size=125), st.integers(126, 70_000).map(lambda size: b"x" * size)),
    ),
    max_size=6,
)


def told(data: bytes, *cuts: int, payload: bool = False, remaining: int = 0) -> list[Frame]:
    """What a tap tells of `data`, when it comes in pieces."""
    frames: list[Frame] = []
    tap = FrameTap("client", frames.append, payload)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        tap.look(memoryview(data)[begin:end], b"", remaining)
    return frames


@given(FRAMES, st.lists(st.integers(0, 200_000), max_size=8), st.booleans(), st.booleans())
def test_frames_are_told_however_they_come(
    sent: list[tuple[int, bytes]], cuts: list[int], payload: bool, masked: bool
) -> None:
    mask = MASK if masked else None
    data = b"".join(encode_frame(first, content, mask) for first, content in sent)
    frames = told(data, *cuts, payload=payload)
    assert [(it.opcode, it.fin, it.size, it.compressed, it.masked) for it in frames] == [
        (first & 0x0F, first > 0x7F, len(content), bool(first & 0x40), masked)
        for first, content in sent
    ]
    assert [it._replace(at=0) for it in frames] == [
        it._replace(at=0) for it in told(data, payload=payload)
    ]


def test_a_frame_that_has_begun_before_is_passed_over() -> None:
    (frame,) = told(b"the rest" + encode_frame(0x82, b"next"), 3, remaining=8)
    assert (frame.opcode, frame.size) == (2, 4)


def test_a_header_of_which_the_beginning_is_held_is_told() -> None:
    frames: list[Frame] = []
    tap = FrameTap("client", frames.append, payload=False)
    ping = encode_frame(0x89, b"still there?", MASK)
    tap.look(memoryview(ping)[9:], ping[:9], 0)
    assert [(it.opcode, it.size) for it in frames] == [(9, 12)]


def test_only_the_text_of_messages_is_shown_and_only_its_beginning() -> None:
    sent = [
        (0x81, "grüße".encode()),
        (0x82, b"binary"),
        (0x01, b"a" * 2000),
        (0x89, b"ping"),
        (0x80, b"the end"),
        (0xC1, zlib.compress(b"compressed")),
        (0x41, b"compressed"),
        (0x80, b"compressed, too"),
    ]
    data = b"".join(encode_frame(first, content, MASK) for first, content in sent)
    shown = ["grüße", None, "a" * SHOWN_BYTES, None, "the end", None, None, None]
    assert [it.payload for it in told(data, payload=True)] == shown
    assert {it.payload for it in told(data)} == {None}


def test_of_a_message_that_has_begun_before_no_text_is_shown() -> None:
    """It may be compressed, or no text."""
    assert [it.payload for it in told(encode_frame(0x80, b"the end"), payload=True)] == [None]


def test_a_character_that_is_cut_is_left_out() -> None:
    (frame,) = told(encode_frame(0x81, b"a" + "ü".encode() * 600), payload=True)
    assert frame.payload == "a" + "ü" * 511


@pytest.mark.parametrize(
    ("payload", "code"), [(b"", None), (b"\x03\xe8bye", 1000), (b"\x03", None)]
)
def test_a_close_is_told_with_its_code_and_is_the_last(payload: bytes, code: int | None) -> None:
    frames = told(encode_frame(0x88, payload, MASK) + encode_frame(0x81, b"late", MASK))
    assert [(it.opcode, it.code, it.payload) for it in frames] == [(8, code, None)]


def test_what_is_no_frame_is_told_once() -> None:
    frames = told(b"\x83\x00" + b"GET / HTTP/1.1")
    assert [it.opcode for it in frames] == [3]


# In a relay


def tapped(relayed: Any, payload: bool = False) -> tuple[list[Frame], Callable[[], None]]:
    frames: list[Frame] = []
    return frames, relayed.session.tap(frames.append, payload)


def shape(frames: list[Frame], sender: str) -> list[tuple[int, bool, int]]:
    return [(it.opcode, it.fin, it.size) for it in frames if it.sender == sender]


async def exchange(sender: Any, receiver: Any, frames: list[bytes]) -> None:
    """All of it arrives as it was sent."""
    data = b"".join(frames)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender.send, data)
        assert await receiver.receive_exactly(len(data)) == data


def every_sort(peer: Any) -> list[bytes]:
    return [
        peer.frame(Opcode.TEXT, b"hello"),
        peer.frame(Opcode.PING, b"ping"),
        peer.frame(Opcode.TEXT, b"in ", fin=False),
        peer.frame(Opcode.CONT, b"parts"),
        peer.frame(Opcode.BINARY, os.urandom(300)),
        peer.frame(Opcode.BINARY, os.urandom(5 * LARGE_FRAME)),
        peer.frame(Opcode.PONG, b""),
    ]


SHAPE = [
    *((1, True, 5), (9, True, 4), (1, False, 3), (0, True, 5)),
    *((2, True, 300), (2, True, 5 * LARGE_FRAME), (10, True, 0)),
]


class Reads(Filter):
    """Reads what both sides send."""

    kind = "Reads"

    def on_message(self, session: Any, message: Message) -> Message:
        return message


READS = Reads("reads", {})


@pytest.mark.parametrize("filters", [[], [READS]], ids=["frames", "messages"])
async def test_every_frame_of_both_sides_is_told_and_arrives(
    relaying: Any, filters: list[Filter]
) -> None:
    async with relaying() as stage:
        relayed = stage.open(filters=filters)
        frames, untap = tapped(relayed, payload=True)
        await exchange(relayed.client, relayed.backend, every_sort(relayed.client))
        await exchange(relayed.backend, relayed.client, every_sort(relayed.backend))
        assert shape(frames, "client") == shape(frames, "backend") == SHAPE
        assert [it.payload for it in frames[:4]] == ["hello", None, "in ", "parts"]
        assert {it.masked for it in frames if it.sender == "client"} == {True}
        untap()
        await exchange(relayed.client, relayed.backend, every_sort(relayed.client))
        assert len(frames) == 2 * len(SHAPE)


async def test_a_tap_may_begin_and_end_inside_of_a_frame(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        frame = relayed.client.frame(Opcode.BINARY, os.urandom(9 * LARGE_FRAME))
        third = len(frame) // 3
        await exchange(relayed.client, relayed.backend, [frame[:third]])
        frames, untap = tapped(relayed)
        await exchange(relayed.client, relayed.backend, [frame[third : 2 * third]])
        untap()
        await exchange(relayed.client, relayed.backend, [frame[2 * third :]])
        await relayed.client.send(frame[:5])
        await anyio.wait_all_tasks_blocked()
        again, _ = tapped(relayed)
        await relayed.client.send(frame[5:20])
        assert await relayed.backend.receive_exactly(20) == frame[:20]
        await exchange(relayed.client, relayed.backend, [frame[20:]])
        assert frames == []
        assert shape(again, "client") == [(2, True, 9 * LARGE_FRAME)]


async def test_a_close_is_seen_from_both_sides(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        frames, untap = tapped(relayed)
        await relayed.client.send(relayed.client.frame(Opcode.CLOSE, b"\x0f\xa0"))
        await relayed.backend.answer_close()
        await relayed.client.receive_close()
        relayed.client.half_close()
        await relayed.ended()
        assert [(it.sender, it.code) for it in frames] == [("client", 4000), ("backend", 4000)]
        untap()


async def test_two_may_look_on(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        (first, end_first), (second, _) = tapped(relayed), tapped(relayed, payload=True)
        await exchange(relayed.client, relayed.backend, [relayed.client.frame(Opcode.TEXT, b"a")])
        end_first()
        await exchange(relayed.client, relayed.backend, [relayed.client.frame(Opcode.TEXT, b"b")])
        assert [it.payload for it in first] == [None]
        assert [it.payload for it in second] == ["a", "b"]


def test_a_session_is_on_the_fast_path_but_while_it_is_tapped(
    run_by_hand: Any, loop_type: Any
) -> None:
    with run_by_hand(loop_type) as by_hand:
        legs = [by_hand.session.client, by_hand.session.backend]
        untap = by_hand.session.tap([].append)
        assert [way_of(leg) for leg in legs] == [REPORT, REPORT]
        legs[0].walker.remaining = 2 * LARGE_FRAME
        assert not can_splice(legs[0])
        untap()
        assert [way_of(leg) for leg in legs] == [FORWARD, FORWARD]
        assert can_splice(legs[0])


def test_so_is_one_whose_messages_are_read(run_by_hand: Any, loop_type: Any) -> None:
    with run_by_hand(loop_type, filters=[READS]) as by_hand:
        untap = by_hand.session.tap([].append)
        assert way_of(by_hand.session.client) == REPORT
        untap()
        assert way_of(by_hand.session.client) == LOOK
