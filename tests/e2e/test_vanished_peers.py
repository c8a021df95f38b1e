"""A peer whose host is suddenly off the net: no FIN, no reset, only silence.

Who is told what, and by which of three clocks: the wait for a slow reader, our pings, and the
kernel's timers, which are all that there is for a session that none of ours watches.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

import pytest
from tests.e2e import raw
from tests.e2e.cable import Cable
from tests.e2e.far import Open

#: The kernel gives a peer up after 1.5 s, we a slow reader after 1 s.
NO_PINGS = {
    "keepAlive": {"interval": 0},
    "timeouts": {"slowReader": "1s", "close": "500ms"},
    "backendLostCode": 1014,
}
PINGS = {**NO_PINGS, "keepAlive": {"interval": "500ms", "timeout": "500ms"}}


def test_a_client_that_vanishes_among_much_data_is_a_slow_reader(
    cable: Cable, open_session: Open
) -> None:
    with open_session("client", NO_PINGS) as session:

        def send_without_end() -> None:
            with suppress(OSError):
                while True:
                    session.backend.send(raw.frame(raw.BINARY, bytes(60_000), masked=False))

        sending = Thread(target=send_without_end)
        sending.start()
        session.client.frame()
        cable.pull_out()
        assert session.backend.frame().close == (1001, "the client was at fault")
        assert session.how_it_ended() == ("proxy", 1008, "client: reads too slowly")
        sending.join()


def test_a_client_that_vanishes_with_bytes_on_their_way_is_lost(
    cable: Cable, open_session: Open
) -> None:
    with open_session("client", NO_PINGS) as session:
        cable.pull_out()
        session.backend.send(raw.frame(raw.TEXT, b"into the void", masked=False))
        assert session.backend.frame().close == (1001, "the client was lost")
        assert session.how_it_ended() == ("client", 1006, "lost")


@pytest.mark.parametrize("far", ["client", "backend"])
def test_a_peer_that_vanishes_in_silence_answers_no_ping(
    cable: Cable, open_session: Open, far: str
) -> None:
    with open_session(far, PINGS) as session:
        cable.pull_out()
        other = session.near(far)
        while (frame := other.frame()).opcode == raw.PING:
            other.send(raw.frame(raw.PONG, frame.payload, masked=other is session.client))
        assert frame.close == (1001, f"the {far} does not answer")
        assert session.how_it_ended() == ("proxy", 1001, f"the {far} does not answer")


@pytest.mark.parametrize(("far", "code"), [("client", 1001), ("backend", 1014)])
def test_without_pings_the_kernel_asks_whether_a_peer_is_there(
    cable: Cable, open_session: Open, far: str, code: int
) -> None:
    with open_session(far, NO_PINGS) as session:
        cable.pull_out()
        assert session.near(far).frame().close == (code, f"the {far} was lost")
        assert session.how_it_ended() == (far, 1006, "lost")
