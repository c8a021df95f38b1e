"""The inner loop in C beside the one in Python: the same verdicts, counters and bytes."""

from __future__ import annotations

import gc
import importlib.util
import os
import socket
import sys
import time
import weakref
from collections.abc import Iterator
from itertools import pairwise, product
from math import inf
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode

from easews_wsproxy import batch as pure_batch
from easews_wsproxy import frames, lane, session
from easews_wsproxy.compiled import COMPILED
from easews_wsproxy.frames import CLOSE
from easews_wsproxy.poller import READ, WRITE

COUNTERS = ("remaining", "message_bytes", "frames", "messages", "pings", "pongs", "continued")


def _frames_on(lane_module: Any) -> ModuleType:
    """`frames` once more, with a Walker on this module's Lane."""
    spec = importlib.util.spec_from_file_location("easews_wsproxy.other_frames", frames.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    stand_ins = {"easews_wsproxy.compiled": lane_module, spec.name: module}
    with patch.dict(sys.modules, stand_ins):
        spec.loader.exec_module(module)
    return module


PURE = _frames_on(lane)


@pytest.fixture(scope="session")
def compiled(batch: Any) -> Any:
    """`frames` with walkers that can skim."""
    return _frames_on(batch)


def test_the_compiled_loop_is_used_where_it_is_built(batch: Any) -> None:
    assert COMPILED is (os.environ.get("EASEWS_PURE") != "1")


# Skimming


class Reader:
    """Drives a walker as the relay does, and skims where it may."""

    def __init__(self, walker: Any) -> None:
        self.walker = walker
        self.held = b""
        self.passed = bytearray()
        self.stops: list[object] = []  # what the relay would have acted on, and its place

    def feed(self, chunk: bytes, *, skims: bool) -> None:
        walker, data = self.walker, self.held + chunk
        start = 0
        if skims and not self.held:
            start = walker.skim(data, 0, len(data))
            self.passed += data[:start]
        while not walker.fault and not self.closed:
            upto = walker.walk(data, start, len(data)) if start < len(data) else start
            self.passed += data[start:upto]
            control = walker.control if start < len(data) else None
            if control is None:
                self.held = data[upto:]
                return
            self.stops.append((len(self.passed), control.opcode, control.payload, control.code))
            start = upto + control.size

    @property
    def closed(self) -> bool:
        return bool(self.walker.control) and self.walker.control.opcode == CLOSE

    def state(self) -> tuple[object, ...]:
        walker, fault = self.walker, self.walker.fault
        about = fault and (fault.code, fault.reason)
        counters = [getattr(walker, name) for name in COUNTERS]
        return bytes(self.passed), self.held, self.stops, about, counters


FIRST_BYTES = st.one_of(
    st.sampled_from([0x81, 0x82, 0x01, 0x00, 0x80, 0x89, 0x8A, 0xC1, 0x41]), st.integers(0, 255)
)
LENGTHS = st.one_of(
    st.integers(0, 8), st.sampled_from([124, 125, 126, 127, 300, 0xFFFF, 0x10000, 1 << 62])
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Frames of which some are wrong or cut, then perhaps a byte or two changed."""
    masked = draw(st.booleans())
    data = bytearray()
    for _ in range(draw(st.integers(0, 8))):
        length = draw(LENGTHS)
        width = draw(st.sampled_from([0, 0, 0, 2, 8])) or (
            1 if length < 126 else 2 if length < 0x10000 else 8
        )
        data.append(draw(FIRST_BYTES))
        mask_bit = 0x80 if masked else 0
        short = length if width == 1 else 126 if width == 2 else 127
        data.append(mask_bit | short & 0x7F)
        data += length.to_bytes(8)[-width:] if width > 1 else b""
        data += (bytes(4) if masked else b"") + b"\x03\xe8" * (min(length, 1 << 17) // 2)
        data += b"x" * (length & 1)
    for _ in range(draw(st.integers(0, 2)) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data), masked


@given(data=st.data())
@settings(max_examples=400)
def test_skim_and_walk_do_what_walk_alone_does(compiled: Any, data: st.DataObject) -> None:
    stream, masked = data.draw(streams())
    made_with = {
        "masked": masked,
        "deflate": data.draw(st.booleans()),
        "limit": data.draw(st.sampled_from([-1, 0, 10, 300, 70_000])),
    }
    ours, theirs = Reader(compiled.Walker(**made_with)), Reader(PURE.Walker(**made_with))
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    for start, end in pairwise(sorted({0, len(stream), *places})):
        watch_pongs, skims = data.draw(st.booleans()), data.draw(st.integers(0, 3)) > 0
        for reader in (ours, theirs):
            reader.walker.watch_pongs = watch_pongs
            if not (reader.walker.fault or reader.closed):
                reader.feed(stream[start:end], skims=skims and reader is ours)
        assert ours.state() == theirs.state()


def headers() -> Iterator[tuple[bytes, dict[str, bool], bool]]:
    """Every first byte with lengths of every kind, in every state; the payloads are short."""
    lengths = [b"\x00", b"\x01", b"\x02ab", b"\x7d" + bytes(125), b"\x7e\x00\x7d"]
    lengths += [b"\x7e\x00\x7e" + bytes(60), b"\x7e\xff\xff", b"\x7f\0\0\0\0\0\0\xff\xff"]
    lengths += [b"\x7f\0\0\0\0\0\1\0\0", b"\x7f\x7f" + b"\xff" * 7, b"\x7f\x80" + bytes(7)]
    for first, rest, masked, flipped, deflate, continued in product(
        range(256), lengths, *[(False, True)] * 4
    ):
        bit = 0x80 if masked != flipped else 0
        head = 1 + (2 if rest[0] == 126 else 8 if rest[0] == 127 else 0)
        data = bytes([first, rest[0] | bit]) + rest[1:head]
        data += (bytes(4) if masked else b"") + rest[head:]
        yield data, {"masked": masked, "deflate": deflate}, continued


def test_every_header_is_judged_alike(compiled: Any) -> None:
    for data, made_with, continued in headers():
        ours, theirs = Reader(compiled.Walker(**made_with)), Reader(PURE.Walker(**made_with))
        for reader in (ours, theirs):
            reader.walker.continued = continued
            reader.feed(data, skims=reader is ours)
        assert ours.state() == theirs.state(), data


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, 6), (6, 6)])
def test_skim_stays_within_its_data(compiled: Any, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="no such part"):
        compiled.Walker(masked=False).skim(b"\x81\x03abc", start, end)


# Relaying

STEPS = st.lists(
    st.tuples(st.sampled_from(["client", "backend"]), st.integers(0, 400), st.booleans()),
    max_size=30,
)


def _relay(by_hand: Any, sent: dict[str, bytes], steps: list[tuple[str, int, bool]]) -> object:
    """What comes of a session in which `sent` is sent in pieces."""
    by_hand.client.outbox += sent["client"]
    by_hand.backend.outbox += sent["backend"]
    for role, size, turns in steps:
        getattr(by_hand, role).push(size)
        if turns:
            by_hand.turn()
    by_hand.settle()
    state = by_hand.session
    return (
        bytes(by_hand.client.received),
        bytes(by_hand.backend.received),
        [by_hand.client.at_end, by_hand.backend.at_end],
        [(leg.held, leg.mute, leg.close_sent) for leg in (state.client, state.backend)],
        [(one.messages, one.bytes) for one in state.traffic()],
        state._first,
    )


@given(data=st.data())
@settings(max_examples=150)
def test_the_same_bytes_come_out_of_both_relays(
    batch: Any, run_by_hand: Any, data: st.DataObject
) -> None:
    sent = {
        "client": data.draw(streams().filter(lambda stream: stream[1]))[0],
        "backend": data.draw(streams().filter(lambda stream: not stream[1]))[0],
    }
    steps = data.draw(STEPS)
    results = []
    for batch_type in (batch.Batch, pure_batch.Batch):
        with (
            patch.object(session, "new_mask", lambda: b"mask"),
            run_by_hand(batch_type, deflate=True, client_limit=100_000) as by_hand,
        ):
            results.append(_relay(by_hand, sent, steps))
    assert results[0] == results[1]


async def test_what_waits_for_a_peer_is_not_overtaken(relaying: Any) -> None:
    """A leg that is paused between two turns may have an event left from the one before."""
    async with relaying() as stage:
        sessions = [stage.open() for _ in range(40)]
        for relayed in sessions:
            relayed.client.sock.send(relayed.client.frame(Opcode.TEXT, b"second"))
        assert not stage.relay._batch.turn(0.0)  # the time is up before all have had their turn
        late = next(relayed for relayed in sessions if not relayed.session.client.walker.bytes)
        ping = late.client.frame(Opcode.PING, b"first")
        late.session.backend.keep(ping, time.monotonic())
        late.session.watch()
        frame = await late.backend.receive_frame()
        assert (frame.opcode, frame.data) == (Opcode.PING, b"first")
