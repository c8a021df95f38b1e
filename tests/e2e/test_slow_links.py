"""A peer behind a slow link: what is sent to it is on its way for longer than any timeout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from tests.e2e import raw
from tests.e2e.cable import Cable
from tests.e2e.far import Open
from tests.e2e.raw import Peer

pytestmark = pytest.mark.parametrize("far", ["client", "backend"])

#: 400 kB take 1.6 s.
RATE = "2mbit"
SIZE = 400_000
LIMITS = {"timeouts": {"slowReader": "1s", "close": "300ms"}}


@contextmanager
def beating(peer: Peer, masked: bool) -> Iterator[None]:
    """Sign of life after sign of life, as applications send them."""
    over = Event()

    def beat() -> None:
        while not over.wait(0.1):
            peer.send(raw.frame(raw.PONG, b"beat", masked=masked))

    thread = Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_message_and_the_close_behind_it_arrive(
    slow_cable: Cable, open_session: Open, far: str
) -> None:
    with open_session(far, {**LIMITS, "keepAlive": {"interval": 0}}) as session:
        slow_cable.slow_down(RATE)
        sender, reader = session.near(far), session.far(far)
        masked = sender is session.client
        with beating(reader, not masked):
            sender.send(raw.frame(raw.BINARY, bytes(SIZE), masked=masked))
            sender.send(raw.close_frame(4001, "bye", masked=masked))
            assert len(reader.frame().payload) == SIZE
            assert reader.frame().close == (4001, "bye")
        reader.close()
        assert session.how_it_ended()[:2] == ("backend" if far == "client" else "client", 4001)


def test_a_ping_waits_for_the_message_in_front_of_it(
    slow_cable: Cable, open_session: Open, far: str
) -> None:
    limits = {**LIMITS, "keepAlive": {"interval": "300ms", "timeout": "400ms"}}
    with open_session(far, limits) as session:
        slow_cable.slow_down(RATE)
        sender, reader = session.near(far), session.far(far)
        masked = sender is session.client
        sender.send(raw.frame(raw.BINARY, bytes(SIZE), masked=masked))
        with beating(sender, masked):
            assert len(reader.frame().payload) == SIZE
            while (frame := reader.frame()).payload == b"beat":
                pass
            assert frame.opcode == raw.PING
