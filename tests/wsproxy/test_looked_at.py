"""Messages that the compiled loop has received and has Python look at, before it sends them on.

The tests are the loop here, so that each of them knows what it was told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from easews import Filter, Message, Session
from easews_wsproxy.relay.incoming import looks_on
from easews_wsproxy.relay.loop import Loop
from easews_wsproxy.relay.sizes import FLOOD_FRAMES

HELLO = bytes(Frame(Opcode.TEXT, b"hello").serialize(mask=True))


class Does(Filter):
    """Does with each message what the test says."""

    kind = "Does"

    def __init__(self, action: Callable[[Session, Message], Any] = lambda _, it: it) -> None:
        super().__init__("does", {})
        self.action = action

    def on_message(self, session: Session, message: Message) -> Any:
        return self.action(session, message)


def may_pass(by_hand: Any, data: bytes) -> bool:
    """Whether the loop, which has received this of the client, is to send it on as it came."""
    relay, client = by_hand.relay, by_hand.session.client
    relay._buffer[: len(data)] = data
    client.walker.bytes += len(data)
    return bool(relay._on_bytes(by_hand.session, client, len(data), 0, 0))


def test_a_message_that_nobody_changes_is_left_to_the_loop(run_by_hand: Any) -> None:
    with run_by_hand(Loop, filters=[Does()]) as by_hand:
        assert may_pass(by_hand, HELLO * 3)
        by_hand.settle()
        assert not by_hand.backend.received
        assert by_hand.session.traffic()[0].messages == 3


def test_a_message_that_a_filter_changes_is_sent_by_python(run_by_hand: Any) -> None:
    with run_by_hand(Loop, filters=[Does(lambda _, message: message.data.upper())]) as by_hand:
        assert not may_pass(by_hand, HELLO)
        by_hand.settle()
        sent = by_hand.backend.received
        masked, mask = sent[6:], sent[2:6]
        assert bytes(a ^ b for a, b in zip(masked, mask * 2, strict=False)) == b"HELLO"


def test_what_a_filter_does_beside_it_is_done_at_once(run_by_hand: Any) -> None:
    closes = Does(lambda session, message: session.close(4000, "enough"))
    with run_by_hand(Loop, filters=[closes]) as by_hand:
        assert not may_pass(by_hand, HELLO)
        by_hand.settle()
        assert by_hand.client.received == b"\x88\x08\x0f\xa0enough"
        assert by_hand.session.closing


def test_a_flood_is_sent_by_python_which_reads_less_at_once_then(run_by_hand: Any) -> None:
    flood = HELLO * (FLOOD_FRAMES + 1)
    with run_by_hand(Loop, filters=[Does()]) as by_hand:
        before = by_hand.session.client.read_size
        assert not may_pass(by_hand, flood)
        by_hand.settle()
        assert by_hand.backend.received == flood
        assert by_hand.session.client.read_size < before


@pytest.mark.parametrize("filters", [[], [Does()]], ids=["unread", "read"])
def test_nothing_passes_behind_a_close(run_by_hand: Any, filters: list[Filter]) -> None:
    close = bytes(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    with run_by_hand(Loop, filters=filters) as by_hand:
        assert not may_pass(by_hand, close)
        assert not may_pass(by_hand, HELLO)
        assert not looks_on(
            by_hand.session,
            by_hand.session.client,
            by_hand.relay._buffer,
            len(HELLO),
            by_hand.now,
        )
        by_hand.settle()
        assert by_hand.backend.received == close
