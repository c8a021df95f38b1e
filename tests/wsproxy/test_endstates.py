"""Every cell of the tables of how a session ends: each has a conversation that goes through it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wsproxy.test_relay_properties import decode
from websockets.frames import Frame, Opcode

import state_diagram
from easews.testing import FakeWire
from easews_wsproxy.relay import leg as leg_module
from easews_wsproxy.relay.endstates import RECEIVING, SENDING, Event, Receiving, Sending
from easews_wsproxy.relay.frames import Walker
from easews_wsproxy.relay.leg import Leg
from easews_wsproxy.relay.loop import Loop
from easews_wsproxy.relay.watchdog import Limits

Cell = tuple[str, str]
TABLES: dict[str, Mapping[Any, Mapping[Event, Any]]] = {"SENDING": SENDING, "RECEIVING": RECEIVING}

LIMITS = Limits(close=5.0, slow_reader=60.0)
HALF = {
    "client": b"\x82\xfe\x01\x00\0\0\0\0" + bytes(100),
    "backend": b"\x82\x7e\x01\x00" + bytes(100),
}
REST = bytes(156)
FAULT = {"client": b"\x83\x80\0\0\0\0", "backend": b"\x83\0"}


class Row(dict[Any, Any]):
    """A row of a table that notes which of its cells are used."""

    def __init__(self, state: str, row: Any, used: set[Cell]) -> None:
        super().__init__(row)
        self._state = state
        self._used = used

    def __getitem__(self, event: Any) -> Any:
        after = super().__getitem__(event)
        self._used.add((self._state, event))
        return after


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> set[Cell]:
    """The cells that the test has gone through so far."""
    cells: set[Cell] = set()
    for name, table in TABLES.items():
        rows: dict[Any, Any] = {state: Row(state, row, cells) for state, row in table.items()}
        monkeypatch.setattr(leg_module, name, rows)
    return cells


@pytest.fixture
def by_hand(run_by_hand: Any, used: set[Cell]) -> Iterator[Any]:
    with run_by_hand(Loop, LIMITS) as one:
        yield one


def frame(role: str, opcode: Opcode, payload: bytes = b"") -> bytes:
    return bytes(Frame(opcode, payload).serialize(mask=role == "client"))


def send(by_hand: Any, role: str, data: bytes) -> None:
    far = getattr(by_hand, role)
    far.outbox += data
    far.push()
    by_hand.turn()


def send_close(by_hand: Any, role: str) -> None:
    send(by_hand, role, frame(role, Opcode.CLOSE, b"\x03\xe8"))


def half_close(by_hand: Any, role: str) -> None:
    getattr(by_hand, role).sock.shutdown(socket.SHUT_WR)
    by_hand.turn()


def stop_taking(by_hand: Any, role: str) -> None:
    """From now on sending to it fails; it may still send."""
    getattr(by_hand, role).sock.shutdown(socket.SHUT_RD)


def wait_for_close(by_hand: Any) -> None:
    """As long as a Close may take, while both take what they are sent."""
    for _ in range(9):
        by_hand.client.pull()
        by_hand.backend.pull()
        by_hand.pass_time(LIMITS.close / 8)


def closes(by_hand: Any, role: str) -> list[int]:
    """The codes of the Closes that `role` has received; nothing stands behind the last one."""
    far = getattr(by_hand, role)
    far.pull()
    frames, _ = decode(bytes(far.received), role == "backend")
    codes = [int.from_bytes(one.payload[:2]) for one in frames if one.opcode is Opcode.CLOSE]
    assert not codes or frames[-1].opcode is Opcode.CLOSE
    return codes


def state_of(by_hand: Any, role: str) -> tuple[Sending, Receiving]:
    leg = getattr(by_hand.session, role)
    return leg.sending, leg.receiving


def a_fault_is_answered_behind_the_answers(by_hand: Any) -> None:
    send(by_hand, "client", FAULT["client"])
    assert state_of(by_hand, "client") == (Sending.ANSWERS, Receiving.DISCARDED)
    assert closes(by_hand, "backend") == [1001]
    send(by_hand, "backend", frame("backend", Opcode.TEXT, b"an answer"))
    assert closes(by_hand, "client") == []
    send_close(by_hand, "backend")
    assert closes(by_hand, "client") == [1002]
    assert by_hand.client.received.startswith(b"\x81\x09an answer")
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.DISCARDED)
    half_close(by_hand, "client")
    assert by_hand.session.client.wire is None


def a_close_of_ours_waits_for_the_end_of_a_frame(by_hand: Any) -> None:
    send(by_hand, "backend", HALF["backend"])
    by_hand.session.close(1001, "stopping")
    assert state_of(by_hand, "client") == (Sending.LAST_FRAME, Receiving.OPEN)
    assert closes(by_hand, "client") == []
    send(by_hand, "backend", REST)
    assert closes(by_hand, "client") == [1001]
    assert closes(by_hand, "backend") == [1001]


def whoever_leaves_in_the_middle_gets_no_close_and_neither_does_the_other(by_hand: Any) -> None:
    send(by_hand, "backend", HALF["backend"])
    half_close(by_hand, "backend")
    assert by_hand.client.received == b""
    assert closes(by_hand, "client") == closes(by_hand, "backend") == []
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.DISCARDED)
    assert state_of(by_hand, "backend") == (Sending.SHUT, Receiving.ENDED)
    assert by_hand.client.received == HALF["backend"]


def a_peer_that_takes_nothing_more_is_still_read(by_hand: Any) -> None:
    stop_taking(by_hand, "client")
    send(by_hand, "backend", frame("backend", Opcode.TEXT, b"lost"))
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.OPEN)
    assert not by_hand.session.closing
    send(by_hand, "client", frame("client", Opcode.TEXT, b"last"))
    half_close(by_hand, "client")
    assert closes(by_hand, "backend") == [1001]
    assert b"last" in frames_of(by_hand, "backend")


def frames_of(by_hand: Any, role: str) -> list[bytes]:
    frames, _ = decode(bytes(getattr(by_hand, role).received), role == "backend")
    return [one.payload for one in frames]


def an_answer_that_is_too_long_is_finished_in_front_of_the_close(by_hand: Any) -> None:
    send(by_hand, "client", FAULT["client"])
    send(by_hand, "backend", HALF["backend"])
    wait_for_close(by_hand)
    assert state_of(by_hand, "client") == (Sending.LAST_FRAME, Receiving.DISCARDED)
    send(by_hand, "backend", REST)
    assert closes(by_hand, "client") == [1002]


def an_answer_that_will_never_be_complete_ends_bare(by_hand: Any) -> None:
    send(by_hand, "client", FAULT["client"])
    send(by_hand, "backend", HALF["backend"])
    half_close(by_hand, "backend")
    assert closes(by_hand, "client") == []
    assert by_hand.client.received == HALF["backend"]
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.DISCARDED)


def answers_are_lost_on_whom_takes_nothing_more(by_hand: Any) -> None:
    send(by_hand, "client", FAULT["client"])
    stop_taking(by_hand, "client")
    send(by_hand, "backend", frame("backend", Opcode.TEXT, b"an answer"))
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.DISCARDED)
    half_close(by_hand, "client")
    assert by_hand.session.client.wire is None


def the_close_for_a_fault_takes_the_place_of_the_one_that_waits(by_hand: Any) -> None:
    send(by_hand, "backend", HALF["backend"])
    by_hand.session.close(1001, "stopping")
    send(by_hand, "client", FAULT["client"])
    assert state_of(by_hand, "client") == (Sending.LAST_FRAME, Receiving.DISCARDED)
    send(by_hand, "backend", REST)
    assert closes(by_hand, "client") == [1002]


def of_two_closes_that_wait_the_first_is_sent(by_hand: Any) -> None:
    send(by_hand, "backend", HALF["backend"])
    by_hand.session.close(1001, "stopping")
    by_hand.session.close(1012, "stopping twice")
    send(by_hand, "backend", REST)
    assert closes(by_hand, "client") == [1001]


def a_frame_that_is_waited_for_may_never_end(by_hand: Any) -> None:
    send(by_hand, "backend", HALF["backend"])
    by_hand.session.close(1001, "stopping")
    half_close(by_hand, "backend")
    assert closes(by_hand, "client") == []
    assert closes(by_hand, "backend") == [1001]
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.DISCARDED)


def a_frame_that_is_waited_for_may_be_lost(by_hand: Any) -> None:
    send(by_hand, "backend", HALF["backend"])
    by_hand.session.close(1001, "stopping")
    stop_taking(by_hand, "client")
    send(by_hand, "backend", REST[1:])
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.OPEN)
    send(by_hand, "backend", REST[:1])
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.OPEN)


def a_close_may_be_lost(by_hand: Any) -> None:
    stop_taking(by_hand, "client")
    by_hand.session.close(1001, "stopping")
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.OPEN)
    half_close(by_hand, "client")
    assert by_hand.session.client.wire is None
    assert closes(by_hand, "backend") == [1001]


def the_client_is_shut_down_after_two_closes_and_the_backend_is_waited_for(by_hand: Any) -> None:
    send_close(by_hand, "client")
    assert state_of(by_hand, "client") == (Sending.OPEN, Receiving.CLOSED)
    assert closes(by_hand, "backend") == [1000]
    send_close(by_hand, "backend")
    assert closes(by_hand, "client") == [1000]
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.CLOSED)
    assert state_of(by_hand, "backend") == (Sending.CLOSED, Receiving.CLOSED)
    half_close(by_hand, "backend")
    assert by_hand.session.backend.wire is None
    half_close(by_hand, "client")
    assert by_hand.session.client.wire is None


def a_backend_that_takes_nothing_more_may_leave_in_the_middle(by_hand: Any) -> None:
    stop_taking(by_hand, "backend")
    send(by_hand, "client", frame("client", Opcode.TEXT, b"lost"))
    assert state_of(by_hand, "backend") == (Sending.SHUT, Receiving.OPEN)
    send(by_hand, "backend", HALF["backend"])
    half_close(by_hand, "backend")
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.DISCARDED)
    assert by_hand.session.backend.wire is None


def a_fault_of_ours_ends_a_session_that_is_closing(by_hand: Any) -> None:
    send_close(by_hand, "client")
    by_hand.session.on_failure(by_hand.now)
    by_hand.session.settle(by_hand.now)
    assert closes(by_hand, "client") == [1011]
    assert closes(by_hand, "backend") == [1000]
    assert state_of(by_hand, "client") == (Sending.SHUT, Receiving.DISCARDED)


def a_client_that_has_stopped_sending_is_ended_bare(by_hand: Any) -> None:
    send(by_hand, "backend", HALF["backend"])
    half_close(by_hand, "client")
    assert state_of(by_hand, "client") == (Sending.OPEN, Receiving.ENDED)
    half_close(by_hand, "backend")
    assert closes(by_hand, "client") == []
    assert by_hand.session.client.wire is None or by_hand.client.received == HALF["backend"]


CONVERSATIONS: dict[Callable[[Any], None], list[Cell]] = {
    a_fault_is_answered_behind_the_answers: [
        (Sending.OPEN, Event.DEFER_CLOSE),
        (Sending.OPEN, Event.SEND_CLOSE),
        (Sending.ANSWERS, Event.SEND_CLOSE),
        (Receiving.OPEN, Event.DISCARD),
        (Receiving.DISCARDED, Event.END),
    ],
    a_close_of_ours_waits_for_the_end_of_a_frame: [
        (Sending.OPEN, Event.QUEUE_CLOSE),
        (Sending.LAST_FRAME, Event.SEND_CLOSE),
    ],
    whoever_leaves_in_the_middle_gets_no_close_and_neither_does_the_other: [
        (Sending.OPEN, Event.SEAL),
        (Receiving.OPEN, Event.END),
    ],
    a_peer_that_takes_nothing_more_is_still_read: [(Sending.OPEN, Event.GIVE_UP)],
    an_answer_that_is_too_long_is_finished_in_front_of_the_close: [
        (Sending.ANSWERS, Event.QUEUE_CLOSE)
    ],
    an_answer_that_will_never_be_complete_ends_bare: [
        (Sending.ANSWERS, Event.SEAL),
        (Receiving.DISCARDED, Event.DISCARD),
    ],
    answers_are_lost_on_whom_takes_nothing_more: [(Sending.ANSWERS, Event.GIVE_UP)],
    the_close_for_a_fault_takes_the_place_of_the_one_that_waits: [
        (Sending.LAST_FRAME, Event.DEFER_CLOSE)
    ],
    of_two_closes_that_wait_the_first_is_sent: [(Sending.LAST_FRAME, Event.QUEUE_CLOSE)],
    a_frame_that_is_waited_for_may_never_end: [
        (Sending.LAST_FRAME, Event.SEAL),
        (Sending.CLOSED, Event.SEAL),
    ],
    a_frame_that_is_waited_for_may_be_lost: [(Sending.LAST_FRAME, Event.GIVE_UP)],
    a_close_may_be_lost: [(Sending.CLOSED, Event.GIVE_UP)],
    the_client_is_shut_down_after_two_closes_and_the_backend_is_waited_for: [
        (Sending.CLOSED, Event.SHUT_DOWN),
        (Receiving.OPEN, Event.GET_CLOSE),
        (Receiving.CLOSED, Event.END),
    ],
    a_backend_that_takes_nothing_more_may_leave_in_the_middle: [(Sending.SHUT, Event.SEAL)],
    a_fault_of_ours_ends_a_session_that_is_closing: [(Receiving.CLOSED, Event.DISCARD)],
    a_client_that_has_stopped_sending_is_ended_bare: [(Receiving.ENDED, Event.DISCARD)],
}


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.__name__)
def test_a_cell_has_a_conversation(
    by_hand: Any, used: set[Cell], conversation: Callable[[Any], None]
) -> None:
    conversation(by_hand)
    assert used >= set(CONVERSATIONS[conversation])


def test_every_cell_has_one() -> None:
    rows = [row for table in TABLES.values() for row in table.items()]
    cells = {(state, event) for state, row in rows for event in row}
    assert {cell for covered in CONVERSATIONS.values() for cell in covered} == cells


def test_the_diagram_shows_the_tables() -> None:
    drawn = state_diagram.TARGET.read_text("utf-8")
    assert drawn == state_diagram.draw(), "run: python scripts/state_diagram.py"


@pytest.mark.parametrize("leave", [send_close, half_close])
def test_what_is_queued_is_sent_before_the_connection_is_shut_down(
    run_by_hand: Any, leave: Callable[[Any, str], None]
) -> None:
    with run_by_hand(Loop, LIMITS, send_buffer=1) as by_hand:
        leave(by_hand, "client")
        message = frame("backend", Opcode.BINARY, bytes(200_000))
        send(by_hand, "backend", message + frame("backend", Opcode.CLOSE, b"\x03\xe8"))
        while by_hand.backend.outbox:
            by_hand.client.pull(5000)
            by_hand.turn()
            by_hand.backend.push()
        by_hand.turn()
        assert by_hand.session.client.pending is not None
        by_hand.settle()
        assert by_hand.client.received == message + b"\x88\x02\x03\xe8"
        assert by_hand.client.at_end


# What is not in the tables

ACTS: dict[Event, Callable[[Leg], None]] = {
    Event.DEFER_CLOSE: lambda leg: leg.queue_close(b"", Event.DEFER_CLOSE),
    Event.QUEUE_CLOSE: lambda leg: leg.queue_close(b""),
    Event.SEND_CLOSE: lambda leg: leg.send_close(b""),
    Event.SEAL: lambda leg: leg.seal(),
    Event.SHUT_DOWN: lambda leg: leg.shutdown(),
    Event.GIVE_UP: lambda leg: leg.give_up(),
    Event.GET_CLOSE: lambda leg: leg.get_close(),
    Event.DISCARD: lambda leg: leg.discard(),
    Event.END: lambda leg: leg.end(),
}
SENDS = list(ACTS)[:6]


@pytest.mark.parametrize("event", ACTS)
@pytest.mark.parametrize("state", [*Sending, *Receiving])
def test_an_event_leads_where_the_table_says_or_cannot_happen(
    state: Sending | Receiving, event: Event
) -> None:
    wire = FakeWire()
    client, backend = (Leg("client", wire, Walker(masked=True)) for _ in range(2))
    client.other, backend.other = backend, client
    row: Mapping[Event, Any]
    if isinstance(state, Sending):
        client.sending, row = state, SENDING[state]
    else:
        client.receiving, row = state, RECEIVING[state]
    if (event in SENDS) == isinstance(state, Sending):
        if event in row:
            ACTS[event](client)
            assert row[event] in (client.sending, client.receiving)
        else:
            with pytest.raises(KeyError):
                ACTS[event](client)
            assert state in (client.sending, client.receiving)
    wire.close()


def test_what_cannot_happen_ends_its_session_as_a_fault_of_ours(
    run_by_hand: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with run_by_hand(Loop, LIMITS) as by_hand:
        by_hand.session.client.receiving = Receiving.ENDED  # whose end comes again
        by_hand.relay._on_end(by_hand.session, by_hand.session.client)
        assert closes(by_hand, "client") == closes(by_hand, "backend") == [1011]
    assert "a fault while relaying" in caplog.text


# Whatever happens in whatever order

DATA = {
    "a frame": {role: frame(role, Opcode.BINARY, bytes(10)) for role in HALF},
    "half a frame": HALF,
    "the rest": dict.fromkeys(HALF, REST),
    "a fault": FAULT,
    "a Close": {role: frame(role, Opcode.CLOSE, b"\x03\xe8") for role in HALF},
}
SIDES = st.sampled_from(["client", "backend"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(DATA)), SIDES),
        st.tuples(st.sampled_from(["stops taking", "stops sending", "takes"]), SIDES),
        st.tuples(st.sampled_from(["we stop", "time passes"]), st.none()),
    ),
    max_size=14,
)


def do(by_hand: Any, what: str, role: str | None) -> None:
    if what == "we stop":
        by_hand.session.close(1012, "stopping")
    elif what == "time passes":
        by_hand.pass_time(1.0)
    else:
        assert role is not None
        if what in DATA:
            getattr(by_hand, role).outbox += DATA[what][role]
            getattr(by_hand, role).push()
        elif what == "takes":
            getattr(by_hand, role).pull()
        else:
            how = socket.SHUT_RD if what == "stops taking" else socket.SHUT_WR
            getattr(by_hand, role).sock.shutdown(how)
    by_hand.turn()


@pytest.mark.slow
@given(steps=STEPS, send_buffer=st.sampled_from([None, 1]))
@settings(max_examples=400)
def test_a_session_ends_whatever_happens_and_nothing_follows_a_close(
    loop_type: Any, run_by_hand: Any, steps: list[tuple[str, str | None]], send_buffer: int | None
) -> None:
    faults: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = faults.append  # type: ignore[method-assign,assignment]
    logging.getLogger("easews.wsproxy").addHandler(handler)
    try:
        with run_by_hand(loop_type, LIMITS, send_buffer=send_buffer) as by_hand:
            for step in steps:
                do(by_hand, *step)
            by_hand.session.close(1012, "the end")
            for _ in range(100):  # longer than a slow reader and two Closes may take
                by_hand.pass_time(1.0)
                by_hand.turn()
            assert by_hand.session.client.wire is by_hand.session.backend.wire is None
            assert by_hand.relay._held_bytes.count == 0
            for role in HALF:
                assert len(closes(by_hand, role)) <= 1
        assert not [record.getMessage() for record in faults]
    finally:
        logging.getLogger("easews.wsproxy").removeHandler(handler)
