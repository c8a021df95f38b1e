"""Progress is what a peer has taken: none that takes something is ended, and nothing is lost."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.wsproxy.loops import plain_only
from tests.wsproxy.test_relay_properties import decode
from websockets.frames import Frame, Opcode

from easews_wsproxy.relay.loop import Loop
from easews_wsproxy.relay.progress import Progress
from easews_wsproxy.relay.sendqueue import outstanding
from easews_wsproxy.relay.watchdog import Limits

pytestmark = pytest.mark.slow  # on one Python is enough

#: What a reader takes at once, and the seconds until it takes more.
PIECE, PAUSE = 10_000, 0.02
#: Far more than a slow peer's kernel takes, far less than ours does.
SIZE = 500_000


def small_pair() -> tuple[socket.socket, socket.socket]:
    """The first of the two has a small buffer for what it receives."""
    near = socket.socket()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near.connect(listening.getsockname())
        far, _ = listening.accept()
    return near, far


def narrow_pair() -> tuple[socket.socket, socket.socket]:
    """The same, and our own buffer has room again after a long while only."""
    near, far = small_pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
    return near, far


def ends(relayed: Any, sender: str) -> tuple[Any, Any]:
    """Who sends and who receives."""
    pair = relayed.client, relayed.backend
    return pair if sender == "client" else pair[::-1]


async def read_slowly(peer: Any, size: int, most: int = PIECE) -> bytes:
    """So many bytes, with a ping of the reader's own each time."""
    data = b""
    while len(data) < size:
        piece = await peer.receive(min(most, size - len(data)))
        assert piece, f"the stream ended after {len(data)} of {size} bytes"
        data += piece
        await peer.send(peer.frame(Opcode.PING, b"beat"))
        await anyio.sleep(PAUSE)
    return data


async def leave_with_close(relayed: Any, peer: Any) -> None:
    await peer.send(peer.frame(Opcode.CLOSE, b"\x0f\xa1bye"))


async def leave_without_close(relayed: Any, peer: Any) -> None:
    peer.close()


async def leave_with_reset(relayed: Any, peer: Any) -> None:
    """What is sent must have been taken before: a reset throws it away at this end."""
    legs = relayed.session.client, relayed.session.backend
    while max(leg.walker.bytes for leg in legs) < SIZE:
        await checkpoint()
    peer.reset()


LEAVING: dict[Callable[..., Any], dict[str, bytes]] = {
    leave_with_close: {"client": b"\x0f\xa1bye", "backend": b"\x0f\xa1bye"},
    leave_without_close: {
        "client": b"\x03\xe9the client was lost",
        "backend": b"\x03\xf3the backend was lost",
    },
    leave_with_reset: {
        "client": b"\x03\xe9the client was lost",
        "backend": b"\x03\xf3the backend was lost",
    },
}


@plain_only
async def test_a_slow_reader_gets_every_byte_and_the_close_however_the_other_side_leaves(
    relaying: Any,
) -> None:
    """The whole takes several times as long as a Close may."""

    async def one(sender: str, leave: Callable[..., Any], close: bytes) -> None:
        relayed = stage.open(Limits(close=0.15, slow_reader=0.6), pair=small_pair)
        source, sink = ends(relayed, sender)
        message = source.frame(Opcode.BINARY, bytes(SIZE))
        async with anyio.create_task_group() as both:
            both.start_soon(read_all, sink, message, close)
            await source.send(message)
            await leave(relayed, source)

    async def read_all(sink: Any, message: bytes, close: bytes) -> None:
        assert await read_slowly(sink, len(message)) == message
        frame = await sink.receive_frame()
        assert (frame.opcode, bytes(frame.data)) == (Opcode.CLOSE, close)

    async with relaying() as stage, anyio.create_task_group() as tasks:
        for leave, closes in LEAVING.items():
            for sender, close in closes.items():
                tasks.start_soon(one, sender, leave, close)


async def test_who_takes_nothing_of_it_is_cut_off_in_time(relaying: Any) -> None:
    async with relaying() as stage:
        sessions = {
            role: stage.open(Limits(close=0.15, slow_reader=0.3), pair=small_pair)
            for role in ("client", "backend")
        }
        for sender, relayed in sessions.items():
            source, _ = ends(relayed, sender)
            await source.send(source.frame(Opcode.BINARY, bytes(SIZE)))
            await source.send(source.frame(Opcode.CLOSE, b"\x0f\xa1bye"))
        for sender, relayed in sessions.items():
            ending = await relayed.ended()
            assert (ending.by, ending.code) == (sender, 4001)


async def test_a_steady_reader_is_no_slow_reader(relaying: Any) -> None:
    """Not even while our socket has no room for longer than a slow reader has."""

    async def one(sender: str) -> None:
        relayed = stage.open(Limits(slow_reader=0.4), pair=narrow_pair)
        source, sink = ends(relayed, sender)
        message = source.frame(Opcode.BINARY, bytes(600_000))
        async with anyio.create_task_group() as both:
            both.start_soon(source.send, message)
            assert await read_slowly(sink, len(message), PIECE // 2) == message
        assert not relayed.session.closing

    async with relaying() as stage, anyio.create_task_group() as tasks:
        tasks.start_soon(one, "client")
        tasks.start_soon(one, "backend")


async def test_a_ping_behind_a_long_message_is_answered_in_time(relaying: Any) -> None:
    """The time for it begins when the message in front of it has been taken."""

    async def answer(peer: Any, pong: anyio.Event) -> None:
        while not pong.is_set():
            frame: Frame = await peer.receive_frame()
            if frame.opcode is Opcode.PING:
                await peer.send(peer.frame(Opcode.PONG, bytes(frame.data)))

    async def one(sender: str) -> None:
        limits = Limits(ping_interval=0.2, ping_timeout=0.25)
        relayed = stage.open(limits, pair=small_pair)
        source, sink = ends(relayed, sender)
        message, done = source.frame(Opcode.BINARY, bytes(SIZE)), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer, source, done)
            await source.send(message)
            received = 0
            while received < len(message):
                received += len(await sink.receive(min(PIECE, len(message) - received)))
                await anyio.sleep(PAUSE)
            ping = await sink.receive_frame()
            assert ping.opcode is Opcode.PING
            assert not relayed.session.closing
            done.set()
            await sink.send(sink.frame(Opcode.PONG, bytes(ping.data)))

    async with relaying() as stage, anyio.create_task_group() as tasks:
        tasks.start_soon(one, "client")
        tasks.start_soon(one, "backend")


PINGS = Limits(ping_interval=30.0, ping_timeout=20.0, slow_reader=60.0)
MESSAGE = b"\x82\x7f" + (100_000).to_bytes(8) + bytes(100_000)


def _pass_a_message(by_hand: Any, more: bytes = b"") -> None:
    """It is on its way to a client that has not read it; the backend sends `more` behind it."""
    by_hand.backend.outbox += MESSAGE + more
    while by_hand.backend.push():
        by_hand.turn()
    assert by_hand.session.client.pending is None


def _keep_the_backend_alive(by_hand: Any) -> None:
    by_hand.backend.outbox += b"\x8a\x00"
    by_hand.backend.push()
    by_hand.turn()
    by_hand.backend.pull()


@pytest.mark.parametrize("ping", [b"", b"\x89\x00"], ids=["ours", "the backend's own"])
def test_the_time_for_a_pong_begins_when_the_ping_is_reached(run_by_hand: Any, ping: bytes) -> None:
    def pass_two_seconds(most: int) -> None:
        _keep_the_backend_alive(by_hand)
        by_hand.client.pull(most)
        by_hand.pass_time(2.0)

    with run_by_hand(Loop, PINGS) as by_hand:
        _pass_a_message(by_hand, ping)
        for _ in range(40):  # for several times as long as an answer may take
            pass_two_seconds(2000)
        pass_two_seconds(1 << 20)
        for _ in range(9):
            pass_two_seconds(1 << 20)
        assert not by_hand.session.closing
        pass_two_seconds(1 << 20)
        assert by_hand.session.closing
        by_hand.client.pull()
        assert by_hand.client.received.endswith(b"the client does not answer")


def test_a_ping_that_does_not_get_through_is_given_the_time_of_a_slow_reader(
    run_by_hand: Any,
) -> None:
    with run_by_hand(Loop, PINGS) as by_hand:
        _pass_a_message(by_hand)
        began = by_hand.now
        while not by_hand.session.closing:
            _keep_the_backend_alive(by_hand)
            by_hand.pass_time(1.0)
        assert 30 + 60 <= by_hand.now - began <= 30 + 60 + 5
        by_hand.backend.pull()
        by_hand.pass_time(6.0)  # whoever took nothing for so long is not waited for again
        assert by_hand.session.client.wire is None


def test_a_slow_reader_that_is_blamed_gets_its_close_behind_what_waits(run_by_hand: Any) -> None:
    with run_by_hand(Loop, Limits(slow_reader=8.0), send_buffer=1) as by_hand:
        by_hand.backend.outbox += MESSAGE
        while by_hand.backend.push():
            by_hand.turn()
        began = by_hand.now
        while not by_hand.session.closing:
            by_hand.pass_time(1.0)
        assert 8 <= by_hand.now - began <= 10
        by_hand.settle()
        assert by_hand.client.received.startswith(MESSAGE)
        assert by_hand.client.received.endswith(b"reads too slowly")
        (told,), _ = decode(bytes(by_hand.backend.received), masked=True)
        assert told.payload == b"\x03\xe9the client was at fault"


def test_a_client_that_has_stopped_sending_is_waited_for_while_it_takes(run_by_hand: Any) -> None:
    with run_by_hand(Loop, Limits(close=5.0, slow_reader=60.0)) as by_hand:
        by_hand.client.sock.shutdown(socket.SHUT_WR)
        by_hand.turn()
        _pass_a_message(by_hand, b"\x88\x02\x03\xe8")
        for _ in range(40):
            by_hand.pass_time(1.0)
            by_hand.client.pull(2000)
        assert by_hand.session.client.wire is not None
        by_hand.client.pull()
        by_hand.pass_time(1.0)
        assert by_hand.session.client.wire is None
        assert by_hand.client.received == MESSAGE + b"\x88\x02\x03\xe8"


def test_without_anything_to_take_no_time_passes() -> None:
    progress = Progress()
    progress.note(100, 0, 1.0)
    progress.note(100, 0, 50.0)
    assert not progress.stands_still(10, 50.0)
    progress.note(200, 100, 51.0)
    assert not progress.stands_still(10, 60.0)
    assert progress.stands_still(10, 61.0)


def test_what_is_taken_is_progress_though_more_was_written() -> None:
    progress = Progress()
    progress.note(1000, 500, 1.0)
    progress.note(2000, 1400, 9.0)
    assert progress.since == 9.0
    progress.note(2100, 1500, 15.0)
    assert progress.since == 9.0


def test_who_is_given_up_stands_still_until_it_takes_something() -> None:
    progress = Progress()
    progress.note(100, 50, 1.0)
    progress.give_up()
    progress.note(100, 50, 2.0)
    assert progress.stands_still(60, 2.0)
    progress.note(100, 40, 3.0)
    assert not progress.stands_still(60, 3.0)


@pytest.mark.parametrize("pair", [small_pair, socket.socketpair], ids=["TCP", "unix"])
def test_the_kernel_tells_what_a_peer_has_not_taken(
    pair: Callable[[], tuple[socket.socket, socket.socket]],
) -> None:
    near, far = pair()
    with near, far:
        assert outstanding(far) == 0
        far.setblocking(False)
        sent = far.send(bytes(150_000))
        waiting = outstanding(far)
        assert waiting > 0
        near.settimeout(10)
        left = sent
        while left > sent // 2:
            left -= len(near.recv(left))
        assert outstanding(far) < waiting


def test_of_a_connection_that_is_gone_nothing_is_outstanding() -> None:
    near, far = small_pair()
    with far:
        far.setblocking(False)
        far.send(bytes(SIZE))
        assert outstanding(far) > 0
        near.close()  # with bytes unread: a reset
        assert outstanding(far) == 0
