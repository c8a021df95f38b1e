"""epoll and the selectors module behave alike, as far as the relay asks."""

from __future__ import annotations

import select
import selectors
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from easews.net.poller import READ, WRITE, Poller, SelectorPoller, make_poller

POLLERS: list[Callable[[], Poller]] = [make_poller, SelectorPoller]
if sys.platform == "linux":
    POLLERS.append(lambda: SelectorPoller(selectors.EpollSelector()))

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(
    params=POLLERS, ids=["make_poller", "SelectorPoller", "EpollSelector"][: len(POLLERS)]
)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made: Poller = request.param()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def fill(sock: socket.socket) -> None:
    """Send until the socket takes nothing more."""
    with suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))


def ready(poller: Poller, sock: socket.socket, wanted: int) -> int:
    """What the relay makes of the poller's answer: an error or a hang-up is worth a try."""
    masks = dict(poller.poll(0, 8))
    mask = masks.get(sock.fileno(), 0)
    reads = READ if wanted & READ and mask & ~WRITE else 0
    return reads | (WRITE if wanted & WRITE and mask & ~READ else 0)


def is_readable(poller: Poller) -> bool:
    return bool(select.select([poller.fileno()], [], [], 0)[0])


def test_nothing_is_ready_on_a_quiet_socket(poller: Poller, pair: Pair) -> None:
    poller.register(pair[0].fileno(), READ)

    assert poller.poll(0, 8) == []


def test_what_was_asked_for_is_told_and_nothing_else(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(b"x")

    poller.register(ours.fileno(), READ)
    assert poller.poll(0, 8) == [(ours.fileno(), READ)]
    poller.modify(ours.fileno(), WRITE)
    assert poller.poll(0, 8) == [(ours.fileno(), WRITE)]
    poller.modify(ours.fileno(), READ | WRITE)
    assert poller.poll(0, 8) == [(ours.fileno(), READ | WRITE)]


def test_readiness_lasts_as_long_as_its_cause(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.register(ours.fileno(), READ)
    theirs.send(b"x")

    assert poller.poll(0, 8) == poller.poll(0, 8) == [(ours.fileno(), READ)]
    ours.recv(8)
    assert poller.poll(0, 8) == []


def test_a_full_socket_is_writable_once_the_peer_has_read(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    fill(ours)
    poller.register(ours.fileno(), WRITE)
    assert poller.poll(0, 8) == []

    with suppress(BlockingIOError):
        while theirs.recv(65536):
            pass

    assert poller.poll(0, 8) == [(ours.fileno(), WRITE)]


def test_every_ready_socket_is_told_in_one_poll(poller: Poller) -> None:
    pairs = [socket.socketpair() for _ in range(50)]
    for ours, theirs in pairs:
        poller.register(ours.fileno(), READ)
        theirs.send(b"x")

    told = poller.poll(0, len(pairs))

    assert sorted(told) == sorted((ours.fileno(), READ) for ours, _ in pairs)
    for ours, theirs in pairs:
        poller.unregister(ours.fileno())
        ours.close()
        theirs.close()


@pytest.mark.parametrize("wanted", [READ, WRITE, READ | WRITE])
def test_the_end_of_a_stream_is_worth_a_try_in_whatever_was_asked_for(
    poller: Poller, pair: Pair, wanted: int
) -> None:
    ours, theirs = pair
    fill(ours)
    poller.register(ours.fileno(), wanted)
    theirs.close()

    assert ready(poller, ours, wanted) == wanted


@pytest.mark.parametrize("wanted", [READ, WRITE, READ | WRITE])
def test_a_reset_is_worth_a_try_in_whatever_was_asked_for(poller: Poller, wanted: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with ours:
        poller.register(ours.fileno(), wanted)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()

        assert ready(poller, ours, wanted) == wanted
        poller.unregister(ours.fileno())


def test_an_unregistered_socket_tells_nothing_and_may_come_back(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    poller.register(ours.fileno(), READ)
    theirs.send(b"x")
    poller.unregister(ours.fileno())
    assert poller.poll(0, 8) == []
    assert not is_readable(poller)

    poller.register(ours.fileno(), READ)

    assert poller.poll(0, 8) == [(ours.fileno(), READ)]


def test_the_poller_is_readable_while_one_of_its_sockets_has_an_event(
    poller: Poller, pair: Pair
) -> None:
    ours, theirs = pair
    poller.register(ours.fileno(), READ)
    assert not is_readable(poller)

    theirs.send(b"x")
    assert is_readable(poller)
    poller.poll(0, 8)
    assert is_readable(poller), "an event that nobody acted on is not forgotten"
    ours.recv(8)

    assert not is_readable(poller)
