"""The inner loop in C beside the one in Python: the same verdicts, counters and bytes."""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import select
import socket
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise, product
from math import inf
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wsproxy.loops import PURE, frames_on
from websockets.frames import Opcode

from easews.lowlevel import READ, WRITE
from easews_wsproxy.relay import frames, masking
from easews_wsproxy.relay import loop as pure_loop
from easews_wsproxy.relay.compiled import COMPILED
from easews_wsproxy.relay.frames import CLOSE

pytestmark = pytest.mark.slow  # on one Python is enough

#: For a loop that calls nobody.
UNUSED = (print, print, print)
COUNTERS = ("remaining", "message_bytes", "frames", "messages", "pings", "pongs", "continued")


PURE_FRAMES = frames_on(PURE)


@pytest.fixture(scope="session")
def compiled(compiled_loop: Any) -> Any:
    """`frames` with walkers that can skim."""
    return frames_on(compiled_loop)


def test_the_compiled_loop_is_used_where_it_is_built(compiled_loop: Any) -> None:
    assert COMPILED


# Payloads

MAYBE_MASKED = pytest.mark.parametrize("key", [b"", b"\x80\x01\xfe\x7f"], ids=["plain", "masked"])


@given(st.binary(max_size=70), st.binary(min_size=4, max_size=4), st.integers(0, 9))
def test_both_mask_in_the_same_way_wherever_the_bytes_lie(
    compiled_loop: Any, data: bytes, key: bytes, offset: int
) -> None:
    part = memoryview(data)[offset:]

    assert compiled_loop.apply_mask(part, key) == masking.apply_mask(part, key)


@pytest.mark.parametrize("key", [b"", b"123", b"12345"])
def test_a_mask_of_another_size_is_an_error(compiled_loop: Any, key: bytes) -> None:
    with pytest.raises(ValueError, match="four bytes"):
        compiled_loop.apply_mask(b"data", key)


@MAYBE_MASKED
@given(data=st.binary(max_size=100), skip=st.integers(0, 9))
def test_both_make_the_same_of_a_payload(
    compiled_loop: Any, key: bytes, data: bytes, skip: int
) -> None:
    part = memoryview(data)[min(skip, len(data)) :]
    for made_by in ("binary", "text", "ascii"):
        assert _made(compiled_loop, made_by, part, key) == _made(masking, made_by, part, key)


@MAYBE_MASKED
@pytest.mark.parametrize("size", [0, 1, 7, 31, 32, 33, 70])
def test_a_payload_is_ascii_up_to_its_last_byte(compiled_loop: Any, key: bytes, size: int) -> None:
    sent = masking.apply_mask(b"x" * size, key or bytes(4))
    assert compiled_loop.is_ascii(sent, key)
    for at in range(size):
        other = bytearray(sent)
        other[at] ^= 0x80
        assert not compiled_loop.is_ascii(other, key)


def _made(module: Any, what: str, part: memoryview, key: bytes) -> object:
    try:
        if what == "ascii":
            return module.is_ascii(part, key)
        return module.payload_of(part, key, what == "text")
    except UnicodeDecodeError:
        return "not UTF-8"


def test_a_buffer_is_lengthened_only(compiled_loop: Any) -> None:
    buffer = bytearray(b"start")
    masking.lengthen(buffer, 1000)
    compiled_loop.lengthen(buffer, 100_000)

    assert len(buffer) == 100_000
    assert buffer.startswith(b"start")
    with pytest.raises(ValueError, match="longer"):
        compiled_loop.lengthen(buffer, 5)
    with memoryview(buffer), pytest.raises(BufferError):
        compiled_loop.lengthen(buffer, 200_000)


# Unpacking


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 5)])
def test_only_what_is_there_is_unpacked(compiled_loop: Any, start: int, end: int) -> None:
    state = compiled_loop.FrameState(False, False, -1)

    with pytest.raises(ValueError, match="no such part"):
        state.unpack(bytearray(4), start, end, 100, [])


def test_messages_are_unpacked_to_a_list_only(compiled_loop: Any) -> None:
    with pytest.raises(TypeError):
        compiled_loop.FrameState(False, False, -1).unpack(bytearray(4), 0, 4, 100, ())


def test_unpacking_obeys_the_limit_of_the_walker_too(compiled_loop: Any) -> None:
    state = compiled_loop.FrameState(False, False, 3)
    items: list[Any] = []

    assert state.unpack(b"\x82\x03abc\x82\x04abcd", 0, 11, 100, items) == 5
    assert items == [(b"abc", 0, 5, None)]


def test_unpacking_leaks_nothing(compiled_loop: Any) -> None:
    sent = b"\x81\x85\0\0\0\0hello" + b"\x81\x82\0\0\0\0\xc3\xa9" + b"\x82\x81\0\0\0\0x"
    state = compiled_loop.FrameState(True, False, -1)

    def unpack() -> int:
        for _ in range(1000):
            state.unpack(sent + b"\x81\x81\0\0\0\0\xff", 0, len(sent) + 7, 100, [])
        return sys.getallocatedblocks()

    unpack()
    assert abs(unpack() - unpack()) < 100


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


LENGTHS = st.one_of(
    st.integers(0, 8), st.sampled_from([124, 125, 126, 127, 300, 0xFFFF, 0x10000, 1 << 62])
)
CONTROLS = st.sampled_from([0x89, 0x8A, 0x8A, 0x89, 0x8A, 0x88])


def _seldom(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """Once in eight times one of the others."""
    return st.sampled_from([usual] * (7 * len(others)) + list(others))


@st.composite
def streams(draw: st.DrawFn, masked: bool) -> bytes:
    """Frames of which some are wrong or cut, then perhaps a byte or two changed."""
    data, unfinished = bytearray(), False
    for _ in range(draw(st.integers(0, 8))):
        is_control, fin = draw(st.booleans()), draw(st.booleans())
        length = draw(st.integers(0, 125)) if is_control else draw(LENGTHS)
        first = draw(CONTROLS) if is_control else (0 if unfinished else 2) | (0x80 if fin else 0)
        unfinished = unfinished if is_control else not fin
        data.append(draw(_seldom(first, 0xC2, 0x42, 0x80, 0x01, 0x83)))
        width = draw(_seldom(0, 2, 8)) or (1 if length < 126 else 2 if length < 0x10000 else 8)
        short = length & 0x7F if width == 1 else 126 if width == 2 else 127
        data.append(short | draw(_seldom(0x80, 0) if masked else _seldom(0, 0x80)))
        data += length.to_bytes(8)[-width:] if width > 1 else b""
        data += (bytes(4) if masked else b"") + b"\x03\xe8" * (min(length, 1 << 17) // 2)
        data += b"x" * (length & 1)
    for _ in range(draw(_seldom(0, 1, 2)) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


@given(data=st.data())
@settings(max_examples=400)
def test_skim_and_walk_do_what_walk_alone_does(compiled: Any, data: st.DataObject) -> None:
    masked = data.draw(st.booleans())
    stream = data.draw(streams(masked))
    made_with = {
        "masked": masked,
        "deflate": data.draw(st.booleans()),
        "limit": data.draw(st.sampled_from([-1, 0, 10, 300, 70_000])),
    }
    ours, theirs = Reader(compiled.Walker(**made_with)), Reader(PURE_FRAMES.Walker(**made_with))
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    for start, end in pairwise(sorted({0, len(stream), *places})):
        watch_pongs, skims = data.draw(st.booleans()), data.draw(st.integers(0, 3)) > 0
        for reader in (ours, theirs):
            reader.walker.watch_pongs = watch_pongs
            if not (reader.walker.fault or reader.closed):
                reader.feed(stream[start:end], skims=skims and reader is ours)
        assert ours.state() == theirs.state()


def test_what_is_unremarkable_is_passed_over_behind_a_cut_header_too(compiled: Any) -> None:
    class Watched(compiled.Walker):  # type: ignore[misc]  # it is made at run time
        def _stops_at(self, *_: object) -> bool:
            raise AssertionError("a frame was looked at")

    walker, flood = Watched(masked=True), b"\x89\x80\0\0\0\0" * 1000
    assert walker.walk(flood, 0, 3998) == 3996
    assert walker.walk(flood, 3996, 6000) == 6000


def headers() -> Iterator[tuple[bytes, dict[str, bool], bool]]:
    """Every first byte with lengths of every kind, in every state; the payloads are short."""
    lengths = [b"\x00", b"\x01", b"\x02ab", b"\x7d" + bytes(125), b"\x7e\x00\x7d"]
    lengths += [b"\x7e\x00\x7e" + bytes(60), b"\x7e\xff\xff", b"\x7f\0\0\0\0\0\0\xff\xff"]
    lengths += [b"\x7f\0\0\0\0\0\1\0\0", b"\x7f\x7f" + b"\xff" * 7, b"\x7f\x80" + bytes(7)]
    states = list(product((False, True), repeat=4))
    for first, rest, state in product(range(256), lengths, states):
        masked, flipped, deflate, continued = state
        bit = 0x80 if masked != flipped else 0
        head = 1 + (2 if rest[0] == 126 else 8 if rest[0] == 127 else 0)
        data = bytes([first, rest[0] | bit]) + rest[1:head]
        data += (bytes(4) if masked else b"") + rest[head:]
        yield data, {"masked": masked, "deflate": deflate}, continued


def test_every_header_is_judged_alike(compiled: Any) -> None:
    for data, made_with, continued in headers():
        ours, theirs = Reader(compiled.Walker(**made_with)), Reader(PURE_FRAMES.Walker(**made_with))
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
        [(leg.held, leg.receiving, leg.sending) for leg in (state.client, state.backend)],
        [(one.messages, one.bytes) for one in state.traffic()],
        (state.closing.by, state.closing.code) if state.closing else None,
    )


@given(data=st.data())
@settings(max_examples=80)
def test_the_same_bytes_come_out_of_both_relays(
    compiled_loop: Any, run_by_hand: Any, tls: Any, data: st.DataObject
) -> None:
    sent = {
        "client": data.draw(streams(masked=True)),
        "backend": data.draw(streams(masked=False)),
    }
    if tls:  # the loops read other amounts at once: which of two faults is first may differ
        sent[data.draw(st.sampled_from(["client", "backend"]))] = b""
    steps = data.draw(STEPS)
    results = []
    for loop_type in (compiled_loop.Loop, pure_loop.Loop):
        with (
            patch("os.urandom", bytes),  # masks of zeros
            run_by_hand(loop_type, deflate=True, client_limit=100_000, tls=tls) as by_hand,
        ):
            results.append(_relay(by_hand, sent, steps))
    assert results[0] == results[1]


async def test_what_waits_for_a_peer_is_not_overtaken(relaying: Any) -> None:
    """A leg that is paused between two turns may have an event left from the one before."""
    async with relaying() as stage:
        sessions = [stage.open() for _ in range(40)]
        for relayed in sessions:
            relayed.client.sock.send(relayed.client.frame(Opcode.TEXT, b"second"))
        assert not stage.relay._loop.turn(0.0)  # the time is up before all have had their turn
        late = next(relayed for relayed in sessions if not relayed.session.client.walker.bytes)
        ping = late.client.frame(Opcode.PING, b"first")
        late.session.backend.keep(ping)
        late.session.settle(time.monotonic())
        frame = await late.backend.receive_frame()
        assert (frame.opcode, frame.data) == (Opcode.PING, b"first")


# Odd uses


class Attending:
    """A loop of sockets that calls `act`, if that is set, and notes which of them it did."""

    def __init__(self, loop_type: Any, count: int) -> None:
        self.called: list[int] = []
        self.act: Any = None
        self.loop = loop_type(
            self._on_ready, self._on_bytes, self._on_end, bytearray(1024), 512, 1 << 16
        )
        self.pairs = [socket.socketpair() for _ in range(count)]
        for number, (near, far) in enumerate(self.pairs):
            self.loop.enter(near.fileno(), None, number, frames.Walker(masked=False), near.fileno())
            self.loop.update_interest(near.fileno(), READ, False)
            far.send(b"!")

    def _on_ready(self, session: object, number: int, events: int) -> None:
        self.called.append(number)
        if self.act is not None:
            self.act(number)

    def _on_bytes(self, session: object, number: int, end: int, upto: int, sent: int) -> None:
        self._on_ready(session, number, READ)

    def _on_end(self, session: object, number: int) -> None:
        self._on_ready(session, number, READ)

    def leave(self, number: int) -> None:
        near = self.pairs[number][0]
        self.loop.leave(near.fileno())
        near.close()

    def close(self) -> None:
        self.loop.close()
        for pair in self.pairs:
            for sock in pair:
                sock.close()


@pytest.fixture(params=["compiled", "pure"])
def attending(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes one; it is closed in the end."""
    module = request.getfixturevalue("compiled_loop") if request.param == "compiled" else pure_loop
    made: list[Attending] = []

    def make(count: int) -> Attending:
        made.append(Attending(module.Loop, count))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_descriptor_enters_and_leaves_once(attending: Any) -> None:
    one = attending(1)
    fd = one.pairs[0][0].fileno()
    with pytest.raises(KeyError):
        one.loop.enter(fd, None, 0, frames.Walker(masked=False), fd)
    one.loop.leave(fd)
    for use in (one.loop.leave, lambda fd: one.loop.update_interest(fd, READ, True)):
        for unknown in (fd, 100_000, -1):
            with pytest.raises(KeyError):
                use(unknown)
    assert one.loop.turn(inf)
    assert one.called == []


def test_a_descriptor_that_is_closed_cannot_be_watched(attending: Any) -> None:
    one = attending(1)
    near = one.pairs[0][0]
    fd = near.fileno()
    one.loop.update_interest(fd, 0, False)
    near.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        one.loop.update_interest(fd, READ | WRITE, False)
    one.loop.leave(fd)


def test_who_leaves_after_its_descriptor_was_closed_is_gone(attending: Any) -> None:
    several = attending(2)
    near, other = several.pairs[0][0], several.pairs[1][0]
    fd = near.fileno()
    near.close()
    several.loop.leave(fd)
    with pytest.raises(KeyError):
        several.loop.leave(fd)
    os.dup2(other.fileno(), fd)
    several.loop.enter(fd, None, 7, frames.Walker(masked=False), fd)
    several.loop.update_interest(fd, READ, False)

    def leave_it(number: int) -> None:
        if number == 7:
            several.loop.leave(fd)
        else:
            several.leave(number)

    several.act = leave_it
    assert several.loop.turn(inf)
    assert sorted(several.called) == [1, 7]
    os.close(fd)


def test_who_leaves_after_its_descriptor_became_another_s_is_gone(attending: Any) -> None:
    several = attending(2)
    fd = several.pairs[0][0].fileno()
    os.dup2(several.pairs[1][1].fileno(), fd)  # which closes it
    several.loop.leave(fd)
    with pytest.raises(KeyError):
        several.loop.update_interest(fd, READ, False)


def test_no_descriptor_is_too_high_and_none_is_negative(attending: Any) -> None:
    one = attending(1)
    before = _peak_memory()
    for fd in (1 << 16, 1 << 24):
        one.loop.enter(fd, None, 1, frames.Walker(masked=False), fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            one.loop.update_interest(fd, READ, False)
        one.loop.leave(fd)
    assert _peak_memory() - before < 8 << 20
    with pytest.raises(ValueError, match="-1 is no descriptor"):
        one.loop.enter(-1, None, 1, frames.Walker(masked=False), 0)


def _peak_memory() -> int:
    """Bytes of the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_what_another_process_adds_to_an_inherited_epoll_is_passed_over(compiled_loop: Any) -> None:
    several = compiled_loop.Loop(*UNUSED, bytearray(64), 64, 0)
    near, far = socket.socketpair()
    strangers = [fcntl.fcntl(far, fcntl.F_DUPFD, least) for least in (0, 300, 900)]
    inherited = select.epoll.fromfd(os.dup(several.fileno()))
    for fd in strangers:
        inherited.register(fd, WRITE | select.EPOLLET)
    several.enter(near.fileno(), None, "leg", frames.Walker(masked=False), near.fileno())
    assert several.turn(inf)
    inherited.close()
    several.close()
    for fd in strangers:
        os.close(fd)
    near.close()
    far.close()


def test_what_attend_raises_comes_out_and_the_next_turn_goes_on(attending: Any) -> None:
    several = attending(5)
    several.act = {}.__getitem__
    for _ in range(5):
        with pytest.raises(KeyError):
            several.loop.turn(inf)
    assert sorted(several.called) == [0, 1, 2, 3, 4]


def test_what_is_left_unread_is_told_of_again(attending: Any) -> None:
    one = attending(1)

    def end_at_the_third(_: int) -> None:
        if len(one.called) == 3:
            raise KeyError

    one.act = end_at_the_third
    with pytest.raises(KeyError):
        one.loop.turn(inf)
    assert one.called == [0, 0, 0]


def test_an_end_that_nobody_wants_to_read_wakes_nobody(attending: Any) -> None:
    one = attending(1)
    near, far = one.pairs[0]
    near.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            near.send(bytes(1 << 16))
    far.shutdown(socket.SHUT_WR)
    one.loop.update_interest(near.fileno(), WRITE, False)
    one.act = {}.__getitem__
    assert one.loop.turn(inf)
    assert one.called == []


def test_who_leaves_while_another_is_attended_to_is_left_alone(attending: Any) -> None:
    several = attending(30)

    def leave_all(_: int) -> None:
        for number in range(30):
            several.leave(number)

    several.act = leave_all
    assert several.loop.turn(inf)
    assert len(several.called) == 1


def test_who_gets_the_descriptor_of_one_that_left_is_a_new_one(attending: Any) -> None:
    several = attending(30)
    fresh: list[socket.socket] = []

    def replace(number: int) -> None:
        several.act = None
        for other in set(range(30)) - {number}:
            several.leave(other)
        for near, far in [socket.socketpair() for _ in range(14)]:
            fresh.extend((near, far))
            several.loop.enter(near.fileno(), None, -1, frames.Walker(masked=False), near.fileno())
            several.loop.update_interest(near.fileno(), READ, True)
        several.leave(number)

    several.act = replace
    assert several.loop.turn(inf)
    for sock in fresh:
        sock.close()
    assert several.called[0] >= 0
    assert len([number for number in several.called if number >= 0]) == 1


def test_the_table_may_grow_while_one_is_attended_to(attending: Any) -> None:
    several = attending(3)
    fd = 10_000  # nobody's, and never watched

    def grow(number: int) -> None:
        several.loop.enter(fd + 10_000 * number, None, -1, frames.Walker(masked=False), 0)
        several.leave(number)

    several.act = grow
    assert several.loop.turn(inf)
    assert sorted(several.called) == [0, 1, 2]


def test_a_loop_that_is_closed_refuses_to_turn(attending: Any) -> None:
    several = attending(3)
    several.loop.close()
    several.loop.close()
    with pytest.raises((OSError, ValueError)):  # the latter is select.epoll's way
        several.loop.turn(inf)


# Memory


def test_a_loop_keeps_its_legs_as_long_as_they_are_in_it(compiled_loop: Any, compiled: Any) -> None:
    kept = object(), object(), compiled.Walker(masked=False)
    session, leg, walker = kept
    before = [sys.getrefcount(one) for one in kept]
    several = compiled_loop.Loop(*UNUSED, bytearray(64), 64, 0)
    for _ in range(10):
        several.enter(7, session, leg, walker, 7)
        assert [sys.getrefcount(one) for one in kept] == [count + 1 for count in before]
        several.leave(7)
    several.enter(7, session, leg, walker, 7)
    del several
    assert [sys.getrefcount(one) for one in kept] == before


def test_a_loop_that_refers_to_itself_is_collected(compiled_loop: Any) -> None:
    class Owner:
        def attend(self) -> None: ...

    owner = Owner()
    owner.loop = compiled_loop.Loop(*[owner.attend] * 3, bytearray(64), 64, 0)  # type: ignore[attr-defined]
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("read_size", [0, -1, 65])
def test_a_buffer_has_room_for_a_read(compiled_loop: Any, read_size: int) -> None:
    with pytest.raises(ValueError, match="too small"):
        compiled_loop.Loop(*UNUSED, bytearray(64), read_size, 0)
    with pytest.raises(ValueError, match="too small"):
        compiled_loop.Loop(*UNUSED, bytearray(64), 64, 0).set_read_size(read_size)


def test_a_buffer_has_room_for_a_record(compiled_loop: Any, compiled: Any) -> None:
    several = compiled_loop.Loop(*UNUSED, bytearray(64), 64, 0)
    with pytest.raises(ValueError, match="too small for TLS"):
        several.enter(7, object(), object(), compiled.Walker(masked=False), 7, object())


def test_a_loop_has_one_poller_however_often_it_is_initialised(compiled_loop: Any) -> None:
    made_with = (*UNUSED, bytearray(64), 64, 0)
    one = compiled_loop.Loop(*made_with)
    poller, opened = one.fileno(), os.listdir("/proc/self/fd")
    one.__init__(*made_with)
    assert (one.fileno(), os.listdir("/proc/self/fd")) == (poller, opened)


def test_nothing_is_left_of_sessions_that_are_over(compiled_loop: Any, run_by_hand: Any) -> None:
    blocks: list[int] = []
    with run_by_hand(compiled_loop.Loop) as by_hand:
        for number in range(10_000):
            over = by_hand.open_another()
            by_hand.turn()
            over.cut()
            if number in (1_000, 9_999):
                by_hand.relay._wheel.due(time.monotonic() + 1000)  # it lets go of them by and by
                gc.collect()
                blocks.append(sys.getallocatedblocks())
        assert by_hand.relay._sessions == {by_hand.session}
    assert blocks[1] - blocks[0] < 500  # of 9,000 sessions
