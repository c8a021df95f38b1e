"""A session written down and made again: no attribute is forgotten, and nobody notices."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from math import inf
from typing import Any
from unittest.mock import Mock, patch

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.wsproxy.test_relay_properties import BUFFERS, INTERVAL, STEPS, Conversation, applications
from websockets.frames import Frame, Opcode

from easews import Connection, Ending, Filter, Opening, Session
from easews.lowlevel import Wire
from easews_wsproxy.relay import packing
from easews_wsproxy.relay.closing import Closing
from easews_wsproxy.relay.endstates import Receiving, Sending
from easews_wsproxy.relay.frames import Walker
from easews_wsproxy.relay.framestate import FrameState
from easews_wsproxy.relay.heartbeat import Heartbeat
from easews_wsproxy.relay.leg import Leg
from easews_wsproxy.relay.lifecycle import Lifecycle
from easews_wsproxy.relay.loop import Loop as PureLoop
from easews_wsproxy.relay.progress import Progress
from easews_wsproxy.relay.rates import Meter, Rate
from easews_wsproxy.relay.session import RelaySession
from easews_wsproxy.relay.watchdog import End, Limits, Watchdog

#: What no table has, by class: made anew, written by other means, or never set in between.
NOT_IN_TABLES: Mapping[type, set[str]] = {
    # Which side, and with which limit and extension, is said to the constructor; a control frame
    # or a fault is acted upon before anybody could ask.
    FrameState: {"mask_bit", "deflate", "limit"},
    Walker: {"control", "fault"},
    Heartbeat: set(),
    Progress: set(),
    Meter: {"_rate"},
    Leg: {
        *("fd", "wire", "sock", "is_plain", "tls", "lane"),  # the connection
        *("loop", "held_bytes"),  # the relay's
        "taps",  # whoever looks at its frames does so in this process
        *("role", "other", "walker", "heartbeat", "progress", "meter"),  # parts of the session
    },
    Watchdog: {"_limits"},
    Closing: {"_backend", "_client", "_limits", "is_over"},
    RelaySession: set(),
    Lifecycle: {
        *("client", "backend", "closing", "_watchdog", "limits"),  # written by themselves
        *("clock", "wake", "slot"),  # the relay's
        *("_connection", "hooks"),  # the engine's, and filters' whose sessions stay
    },
}
TABLES: Mapping[type, packing.Table] = {
    FrameState: packing.WALKER,
    Walker: {},
    Heartbeat: packing.HEARTBEAT,
    Progress: packing.PROGRESS,
    Meter: packing.METER,
    Leg: packing.LEG,
    Watchdog: packing.WATCHDOG,
    Closing: packing.CLOSING,
    RelaySession: {},
    Lifecycle: packing.SESSION,
}


@pytest.mark.parametrize("made_of", TABLES, ids=lambda made_of: str(made_of.__name__))
def test_each_attribute_has_a_row_or_a_reason_not_to_have_one(made_of: type) -> None:
    slots = set(made_of.__slots__)  # type: ignore[attr-defined]
    assert slots == set(TABLES[made_of]) | NOT_IN_TABLES[made_of]
    assert not set(TABLES[made_of]) & NOT_IN_TABLES[made_of]


NUMBERS = st.integers(0, 2**63)
TIMES = st.one_of(st.floats(0, 1e9), st.sampled_from([inf, -inf, 0.0]))
BYTES = st.one_of(st.none(), st.binary(max_size=300))
#: What an attribute may be, by its name where its first value does not tell.
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "queued_close": BYTES,
    "pending": BYTES.map(lambda data: None if data is None else bytearray(data)),
    "inserts": BYTES.map(lambda data: None if data is None else bytearray(data)),
    "rtt": st.one_of(st.none(), TIMES),
    "sending": st.sampled_from(Sending),
    "receiving": st.sampled_from(Receiving),
    "_farewell": st.tuples(st.integers(1000, 4999), st.text(max_size=50)).map(
        lambda pair: End(*pair)
    ),
    "_moved": st.tuples(st.tuples(NUMBERS, NUMBERS), st.tuples(NUMBERS, NUMBERS)),
    "_seen": st.tuples(NUMBERS, NUMBERS),
    "by": st.sampled_from(["client", "backend", "proxy"]),
}
#: By the type of what is there.
SORTS: Mapping[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: NUMBERS,
    float: TIMES,
    bytes: st.binary(max_size=130),
    str: st.text(max_size=50),
}
LIMITS = st.builds(
    Limits,
    **dict.fromkeys(("close", "slow_reader", "ping_interval", "ping_timeout"), TIMES),
    **dict.fromkeys(("idle", "max_age"), st.floats(1, 1e9)),
    client_rate=st.one_of(st.none(), st.builds(Rate, TIMES, TIMES, st.booleans())),
    backend_lost_code=st.integers(1000, 4999),
)


def parts_of(session: RelaySession) -> Iterator[tuple[str, object, packing.Table]]:
    """Everything of it that a table tells of."""
    yield "session", session, packing.SESSION
    yield "watchdog", session._watchdog, packing.WATCHDOG
    if session.closing is not None:
        yield "closing", session.closing, packing.CLOSING
    for leg in (session.client, session.backend):
        yield leg.role, leg, packing.LEG
        yield f"{leg.role}'s walker", leg.walker, packing.WALKER
        yield f"{leg.role}'s heartbeat", leg.heartbeat, packing.HEARTBEAT
        yield f"{leg.role}'s progress", leg.progress, packing.PROGRESS
        if leg.meter is not None:
            yield f"{leg.role}'s meter", leg.meter, packing.METER


def values_of(session: RelaySession) -> dict[str, object]:
    values: dict[str, object] = {
        f"{title}: {name}": getattr(part, name)
        for title, part, table in parts_of(session)
        for name in table
    }
    for leg in (session.client, session.backend):
        walker = leg.walker
        values[f"{leg.role}: made with"] = walker.mask_bit, bool(walker.deflate), walker.limit
    return {**values, "limits": session.limits}


def scramble(session: RelaySession, data: st.DataObject) -> None:
    """Have each attribute be anything that it might be."""
    for _, part, table in parts_of(session):
        for name in table:
            values = VALUES[name] if name in VALUES else SORTS[type(getattr(part, name))]
            setattr(part, name, data.draw(values))


@given(data=st.data())
@settings(max_examples=50)
def test_whatever_a_session_is_like_it_is_the_same_again(data: st.DataObject) -> None:
    limits = data.draw(LIMITS)
    with ExitStack() as stack:
        ends = [stack.enter_context(end) for end in (*socket.socketpair(), *socket.socketpair())]
        check_round_trip(ends[0], ends[2], limits, data)


def check_round_trip(
    first: socket.socket, second: socket.socket, limits: Limits, data: st.DataObject
) -> None:
    connection = Connection(first, Opening("1"))
    walkers = (
        Walker(masked=masked, deflate=data.draw(st.booleans()), limit=data.draw(st.integers(-1, 9)))
        for masked in (True, False)
    )
    client = Leg("client", first, next(walkers))
    session = RelaySession(connection, client, Leg("backend", second, next(walkers)), limits)
    if data.draw(st.booleans()):
        session.begin_to_close("proxy", 1001, "the test", 0.0)
    scramble(session, data)
    state = json.loads(json.dumps(packing.pack(session)))
    again = packing.unpack(state, connection, first, second)
    assert values_of(again) == values_of(session)
    assert (again.client.other, again.backend.other) == (again.backend, again.client)
    again.wake = session.wake
    assert packing.pack(again) == packing.pack(session)


#: The clock of these is moved by the test. The client may send 20 messages in one of its intervals.
RATE = Rate(20 / INTERVAL, 300_000 / INTERVAL)
WATCHED = Limits(ping_interval=INTERVAL, ping_timeout=1e12, slow_reader=1e12, idle=20 * INTERVAL)
LIMITED = Limits(ping_interval=INTERVAL, ping_timeout=3e3, slow_reader=3e3, client_rate=RATE)


@contextmanager
def no_chance() -> Iterator[None]:
    """Masks and secrets of ours are the same in each run."""
    with (
        patch.object(os, "urandom", lambda size: b"\x55" * size),
        patch.object(secrets, "token_bytes", lambda size: b"\x33" * size),
    ):
        yield


def rounded(values: Iterable[Any]) -> list[dict[str, Any]]:
    """Each run begins at another time, by which fractions of a second are rounded elsewhere."""
    return [
        json.loads(json.dumps(asdict(it)), parse_float=lambda t: round(float(t), 3))
        for it in values
    ]


@pytest.mark.slow  # on one Python is enough
@given(
    steps=STEPS,
    moves=st.lists(st.integers(0, 60), min_size=1, max_size=8),
    sent=st.fixed_dictionaries({"client": applications(), "backend": applications()}),
    limits=st.sampled_from([WATCHED, LIMITED]),
    buffer=BUFFERS,
    close_at=st.one_of(st.none(), st.integers(0, 60)),
)
@settings(max_examples=100)
def test_a_session_that_moves_does_what_it_would_have_done(
    loop_type: Any,
    run_by_hand: Any,
    steps: list[tuple[str, str | None, int]],
    moves: list[int],
    sent: dict[str, Any],
    limits: Limits,
    buffer: int | None,
    close_at: int | None,
) -> None:
    def outcome(moves: list[int]) -> Any:
        with no_chance(), run_by_hand(loop_type, limits, send_buffer=buffer) as by_hand:
            talk = Conversation(by_hand, sent)
            for number, step in enumerate(steps):
                if number == close_at:
                    by_hand.session.close(1012, "the test")
                for _ in range(moves.count(number)):
                    by_hand.move()
                talk.step(*step)
            for _ in range(45):  # whatever is due has its time, a rate that is limited, too
                by_hand.settle()
                for role in sent:
                    talk.load(role)
                by_hand.pass_time(INTERVAL / 2)
                if moves:
                    by_hand.move()
            far_ends = by_hand.client, by_hand.backend
            received = [(bytes(far.received), far.at_end) for far in far_ends]
            held = by_hand.relay._held_bytes.count
            return received, rounded(by_hand.session.traffic()), rounded(by_hand.endings), held

    stays, moved = outcome([]), outcome(moves)
    assert moved == stays
    event(f"over: {[ending['cause'] for ending in moved[2]]}")


def message(payload: bytes, masks: bool) -> bytes:
    return bytes(Frame(Opcode.BINARY, payload).serialize(mask=masks))


def test_a_packed_session_touches_nothing_and_goes_on_when_it_is_resumed(
    loop_type: Any, run_by_hand: Any
) -> None:
    with run_by_hand(loop_type) as by_hand:
        relay, session = by_hand.relay, by_hand.session
        assert relay.pack(session) is not None
        assert relay.pack(session) is None  # it is on its way already
        by_hand.client.outbox += (sent := message(b"meanwhile", True))
        by_hand.settle()
        session.close(1012, "told meanwhile")
        session.check(by_hand.now)
        assert not by_hand.client.pull()
        assert not by_hand.backend.pull()

        relay.resume(session)
        by_hand.settle()
        assert by_hand.client.received == b"\x88\x10\x03\xf4told meanwhile"
        assert sent not in by_hand.backend.received  # it came behind our Close


@pytest.mark.parametrize(
    "use",
    [
        lambda wire: wire.recv(1),
        lambda wire: wire.recv_into(bytearray(1), 1),
        lambda wire: wire.send(b"!"),
        lambda wire: wire.shutdown(socket.SHUT_WR),
    ],
    ids=["recv", "recv_into", "send", "shutdown"],
)
def test_a_connection_on_its_way_has_nothing_to_read_and_takes_nothing(
    run_by_hand: Any, use: Callable[[Wire], object]
) -> None:
    with run_by_hand(PureLoop) as by_hand:
        by_hand.relay.pack(by_hand.session)
        wire = by_hand.session.client.wire
        wire.close()  # the other process has it
        with pytest.raises(BlockingIOError):
            use(wire)
        assert wire.fileno() == -1
        by_hand.relay.resume(by_hand.session)
        by_hand.client.outbox += (sent := message(b"still here", True))
        by_hand.settle()
        assert by_hand.backend.received == sent


def test_one_that_has_moved_is_not_over_and_leaves_nothing_behind(
    loop_type: Any, run_by_hand: Any
) -> None:
    with run_by_hand(loop_type, send_buffer=1) as by_hand:
        by_hand.client.outbox += (sent := message(bytes(300_000), True))
        by_hand.client.push()
        by_hand.turn()
        before, session = by_hand.relay, by_hand.session
        assert before._held_bytes.count > 0
        session._connection._lease = lease = Mock()
        session._connection._release = release = Mock()

        by_hand.move()
        assert (before._held_bytes.count, len(before._sessions), len(before._transit)) == (0, 0, 0)
        assert not before._wheel
        assert lease.over.call_count == release.call_count == 1
        assert by_hand.endings == []
        assert session.is_over
        session.close(1000, "nobody hears this")
        by_hand.settle()
        assert by_hand.backend.received == sent
        assert by_hand.relay._held_bytes.count == 0


def test_one_that_is_closing_ends_in_the_process_that_it_has_moved_to(
    loop_type: Any, run_by_hand: Any
) -> None:
    with run_by_hand(loop_type, Limits(close=8.0)) as by_hand:
        by_hand.session.close(1001, "stopping")
        by_hand.move()
        assert by_hand.session.closing
        by_hand.settle()
        for far in (by_hand.client, by_hand.backend):  # they do not answer
            assert far.received
            assert not far.at_end
        by_hand.pass_time(9.0)
        by_hand.settle()
        assert (by_hand.client.at_end, by_hand.backend.at_end) == (True, True)
        assert [(ending.code, ending.cause) for ending in by_hand.endings] == [(1001, "stopping")]


def test_a_session_that_is_cut_on_its_way_closes_its_sockets(
    loop_type: Any, run_by_hand: Any
) -> None:
    with run_by_hand(loop_type) as by_hand:
        packed = by_hand.relay.pack(by_hand.session)
        by_hand.relay._cut_all()
        assert [sock.fileno() for sock in packed.sockets] == [-1, -1]
        assert [ending.cause for ending in by_hand.endings] == ["cut"]


def test_a_session_that_filters_have_notes_of_stays(loop_type: Any, run_by_hand: Any) -> None:
    with run_by_hand(loop_type) as by_hand:
        by_hand.session.notes.put("a note")
        assert by_hand.relay.pack(by_hand.session) is None


def test_a_session_that_filters_follow_stays(loop_type: Any, run_by_hand: Any) -> None:
    class Follows(Filter):
        kind = "Follows"

        def on_close(self, session: Session, ending: Ending) -> None:
            pass

    with run_by_hand(loop_type, filters=[Follows("follows", {})]) as by_hand:
        assert by_hand.relay.pack(by_hand.session) is None


@pytest.mark.parametrize("tls", [("client",), ("backend",)])
def test_a_session_with_tls_stays(loop_type: Any, run_by_hand: Any, tls: Any) -> None:
    with run_by_hand(loop_type, tls=tls) as by_hand:
        assert by_hand.relay.pack(by_hand.session) is None
