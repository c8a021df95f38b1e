"""A peer whose host is suddenly off the net: no FIN, no reset, only silence.

Who is told what, and by which of three clocks: the wait for a slow reader, our pings, and the
kernel's timers, which are all that there is for a session that none of ours watches.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
from tests.e2e import raw
from tests.e2e.cable import Cable
from tests.e2e.gateway import Gateway, config, free_port, proxied, running
from tests.e2e.raw import Peer, RawBackend

#: `python -m easews`, but the kernel does not wait half a minute longer than we do.
EASEWS = (
    *(sys.executable, "-W", "always::ResourceWarning", "-c"),
    "from easews.cli import main; from easews_wsproxy import session; "
    "session.KERNEL_GRACE = 0.5; main()",
)
#: The kernel gives a peer up after 1.5 s, we a slow reader after 1 s.
NO_PINGS = {
    "keepAlive": {"interval": 0},
    "timeouts": {"slowReader": "1s", "close": "500ms"},
    "backendLostCode": 1014,
}
PINGS = {**NO_PINGS, "keepAlive": {"interval": "500ms", "timeout": "500ms"}}


class Session(NamedTuple):
    """A session through a gateway at the cable's near end."""

    gateway: Gateway
    client: Peer
    backend: Peer

    def other_than(self, far: str) -> Peer:
        """The peer that does not vanish."""
        return self.backend if far == "client" else self.client

    def how_it_ended(self) -> tuple[str, int, str]:
        """Who closed it, with which code and for what cause, as the log says."""
        line = json.loads(self.gateway.log.wait_for("session", "closed_by"))
        return line["closed_by"], line["code"], line["cause"]


Open = Callable[..., AbstractContextManager[Session]]


@pytest.fixture
def open_session(loop: str, cable: Cable, tmp_path: Path) -> Open:
    """`with open_session("client", NO_PINGS) as session`: that peer is at the far end."""

    @contextmanager
    def opened(far: str, limits: Mapping[str, Any]) -> Iterator[Session]:
        client_host = cable.far if far == "client" else cable.near
        backend_host = cable.far if far == "backend" else cable.near
        with ExitStack() as stack:
            with backend_host.inside():
                listening = RawBackend(0, backend_host.address)
            stack.callback(listening.close)
            url = f"ws://{backend_host.address}:{listening.port}"
            with cable.near.inside():
                text = config(free_port(), proxied("/", url, **limits), address=cable.near.address)
                options = ("--backend", loop, "--log-format", "json")
                gateway = stack.enter_context(running(text, tmp_path, *options, easews=EASEWS))
            with client_host.inside():
                sock = socket.create_connection((cable.near.address, gateway.port))
            client = stack.enter_context(Peer(sock))
            client.send(raw.handshake("/"))
            backend, _ = listening.accept_session()
            assert client.head().status == 101
            yield Session(gateway, client, backend)

    return opened


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
        other = session.other_than(far)
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
        assert session.other_than(far).frame().close == (code, f"the {far} was lost")
        assert session.how_it_ended() == (far, 1006, "lost")
