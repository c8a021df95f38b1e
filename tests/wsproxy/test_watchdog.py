"""Pings of our own, idleness, age and rates: what ends a session besides its peers."""

from __future__ import annotations

from math import inf
from ssl import SSLObject
from time import monotonic
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from easews.testing import FakeWire
from easews_wsproxy.relay import watchdog
from easews_wsproxy.relay.endstates import Sending
from easews_wsproxy.relay.frames import Walker
from easews_wsproxy.relay.heartbeat import Heartbeat
from easews_wsproxy.relay.interest import wants_bytes
from easews_wsproxy.relay.leg import Leg
from easews_wsproxy.relay.loop import Loop
from easews_wsproxy.relay.rates import Meter, Rate
from easews_wsproxy.relay.watchdog import Due, End, Limits, Watchdog

pytestmark = pytest.mark.slow  # on one Python is enough

PINGS = Limits(ping_interval=0.2, ping_timeout=0.4, close=0.3)


async def test_a_silent_peer_gets_a_ping_and_its_pong_goes_no_further(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(PINGS)
        for peer in (relayed.client, relayed.backend):
            ping = await peer.receive_frame()
            assert ping.opcode is Opcode.PING
            await peer.send(peer.frame(Opcode.PONG, bytes(ping.data)))
        await relayed.client.send_text("after it")
        while (frame := await relayed.backend.receive_frame()).opcode is Opcode.PING:
            await relayed.backend.send(relayed.backend.frame(Opcode.PONG, bytes(frame.data)))
        assert (frame.opcode, frame.data) == (Opcode.TEXT, b"after it")
        traffic = relayed.session.traffic()
        assert all(side.rtt is not None and side.rtt < 30 for side in traffic)


async def test_a_peer_that_answers_no_ping_ends_the_session(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(PINGS)
        assert (await relayed.client.receive_frame()).opcode is Opcode.PING
        while (frame := await relayed.backend.receive_frame()).opcode is Opcode.PING:
            await relayed.backend.send(relayed.backend.frame(Opcode.PONG, bytes(frame.data)))
        assert frame.opcode is Opcode.CLOSE
        assert bytes(frame.data) == b"\x03\xe9the client does not answer"
        ending = await relayed.ended()
        assert (ending.by, ending.code) == ("proxy", 1001)


async def _answer_pings(peer: Any) -> None:
    while True:
        frame = await peer.receive_frame()
        if frame.opcode is Opcode.PING:
            await peer.send(peer.frame(Opcode.PONG, bytes(frame.data)))


async def test_any_byte_is_a_sign_of_life(relaying: Any) -> None:
    async with relaying() as stage, anyio.create_task_group() as tasks:
        relayed = stage.open(PINGS)
        tasks.start_soon(_answer_pings, relayed.backend)
        for _ in range(4):  # for twice the time that silence would be given
            assert (await relayed.client.receive_frame()).opcode is Opcode.PING
            await relayed.client.send_text("no pong, but here")
        assert not relayed.endings
        tasks.cancel_scope.cancel()


async def test_the_applications_own_pings_and_pongs_pass_while_ours_is_pending(
    relaying: Any,
) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(ping_interval=0.2, ping_timeout=30))
        ours = await relayed.client.receive_frame()
        assert ours.opcode is Opcode.PING
        await relayed.backend.send(relayed.backend.frame(Opcode.PING, b"app" + bytes(122)))
        theirs = await relayed.client.receive_frame()
        assert bytes(theirs.data) == b"app" + bytes(122)
        first = relayed.client.frame(Opcode.TEXT, b"frag", fin=False)
        pongs = [relayed.client.frame(Opcode.PONG, bytes(ping.data)) for ping in (ours, theirs)]
        await relayed.client.send(first + pongs[0] + pongs[1] + b"\x80\x84\0\0\0\0ment")
        received: list[Any] = []
        while len(received) < 3:
            frame = await relayed.backend.receive_frame()
            if frame.opcode is not Opcode.PING:
                received.append((frame.opcode, bytes(frame.data)))
        assert received == [
            (Opcode.TEXT, b"frag"),
            (Opcode.PONG, b"app" + bytes(122)),
            (Opcode.CONT, b"ment"),
        ]


async def test_a_pong_that_comes_late_or_in_two_pieces_is_still_ours(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(PINGS)
        ping = await relayed.client.receive_frame()
        pong = relayed.client.frame(Opcode.PONG, bytes(ping.data))
        await relayed.client.send_text("alive")
        await relayed.client.send(pong[:5])
        await anyio.wait_all_tasks_blocked()
        await relayed.client.send(pong[5:] + relayed.client.frame(Opcode.TEXT, b"end"))
        received: list[Any] = []
        while len(received) < 2:
            frame = await relayed.backend.receive_frame()
            if frame.opcode is not Opcode.PING:
                received.append(bytes(frame.data))
        assert received == [b"alive", b"end"]


async def test_a_ping_waits_for_the_end_of_a_frame(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(ping_interval=0.2, ping_timeout=30))
        frame = relayed.backend.frame(Opcode.BINARY, bytes(50_000))
        await relayed.backend.send(frame[:30_000])
        assert await relayed.client.receive_exactly(30_000) == frame[:30_000]
        with pytest.raises(TimeoutError), anyio.fail_after(0.6):
            await relayed.client.receive()
        await relayed.backend.send(frame[30_000:])
        assert await relayed.client.receive_exactly(len(frame) - 30_000) == frame[30_000:]
        assert (await relayed.client.receive_frame()).opcode is Opcode.PING


async def test_an_idle_session_ends_with_1001_whatever_pings_there_are(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(idle=0.4, close=0.3))
        async with anyio.create_task_group() as tasks:

            async def keep_pinging() -> None:
                while True:
                    await relayed.client.send(relayed.client.frame(Opcode.PING))
                    await anyio.sleep(0.02)

            tasks.start_soon(keep_pinging)
            assert await relayed.client.receive_close() == (1001, "no message for 0.4 s")
            tasks.cancel_scope.cancel()


async def test_messages_keep_a_session_from_being_idle(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(idle=0.5))
        for number in range(20):
            await relayed.backend.send_text(str(number))
            assert await relayed.client.receive_text() == str(number)
            await anyio.sleep(0.05)
        assert not relayed.endings


async def test_a_session_that_is_too_old_ends_with_1001(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(max_age=0.3, close=0.3))
        code, reason = await relayed.backend.receive_close()
        assert (code, reason) == (1001, "the session has reached its maximum age")
        assert await relayed.client.receive_close() == (code, reason)


async def test_a_client_that_sends_too_much_is_paused_and_nothing_is_lost(relaying: Any) -> None:
    async with relaying() as stage, anyio.create_task_group() as tasks:
        relayed = stage.open(Limits(client_rate=Rate(messages=200)))
        frame = relayed.client.frame(Opcode.BINARY, bytes(200))
        began = anyio.current_time()
        tasks.start_soon(relayed.client.send, frame * 600)
        assert await relayed.backend.receive_exactly(600 * len(frame)) == frame * 600
        # 200 may come at once, and up to 80 more in the same read.
        assert anyio.current_time() - began > 1


async def test_a_client_that_sends_too_much_can_be_closed_instead(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(client_rate=Rate(bytes=1000, close=True), close=0.3))
        frame = relayed.client.frame(Opcode.BINARY, bytes(3000))
        await relayed.client.send(frame)
        assert await relayed.backend.receive_exactly(len(frame)) == frame
        assert await relayed.backend.answer_close() == (1001, "the client was at fault")
        assert await relayed.client.receive_close() == (1008, "sends more than it may")


class NotedReads:
    """An SSLObject that notes how much it is asked for at once."""

    def __init__(self, ssl: SSLObject) -> None:
        self._ssl = ssl
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ssl, name)

    def read(self, size: int, buffer: Any) -> Any:
        self.sizes.append(size)
        return self._ssl.read(size, buffer)


def note_reads(relay: Any, relayed: Any) -> list[int]:
    """How much the relay asks for at once of what the client sends, from now on."""
    session, leg = relayed.session, relayed.session.client
    if leg.tls is None:
        sizes: list[int] = relayed.watch(leg).reads
        return sizes
    noted = leg.tls.ssl = NotedReads(leg.tls.ssl)
    relay._loop.leave(leg.fd)  # the loop still has the SSLObject itself
    relay._enter(session, leg)
    session.settle(monotonic())
    return noted.sizes


async def test_while_memory_is_scarce_sessions_go_on_in_small_pieces(relaying: Any) -> None:
    async with relaying() as stage:
        stage.relay._held_bytes.limit = -1
        stage.relay._held_bytes.add(0)
        relayed = stage.open()
        frame = relayed.client.frame(Opcode.BINARY, bytes(200_000))
        sizes = note_reads(stage.relay, relayed)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.client.send, frame)
            assert await relayed.backend.receive_exactly(len(frame)) == frame
        assert max(sizes) <= 4096


async def test_what_is_held_is_counted_and_counted_down_again(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        frame = relayed.backend.frame(Opcode.BINARY, bytes(60_000))
        with anyio.move_on_after(0.5):
            while True:
                await relayed.backend.send(frame)
        held_bytes = stage.relay._held_bytes
        assert held_bytes.count == len(relayed.session.client.pending) > 0
        relayed.client.close()
        await relayed.backend.receive_close()
        assert held_bytes.count == 0


WHOLE = b"\x82\x7e\x10\x00" + bytes(4096)
ALIVE = {"client": b"\x8a\x80\0\0\0\0", "backend": b"\x8a\x00"}


def _be_behind(by_hand: Any) -> None:
    """The client takes nothing of what the backend has sent, up to a frame's end."""
    while by_hand.session.client.pending is None:
        by_hand.backend.outbox += WHOLE
        by_hand.backend.push()
        by_hand.turn()
    assert not by_hand.session.client.other.walker.remaining
    assert not wants_bytes(by_hand.session.backend)


def _pass_a_minute(by_hand: Any, *alive: str) -> None:
    """In which these peers send something, and the client takes nothing."""
    for _ in range(12):
        for role in alive:
            getattr(by_hand, role).outbox += ALIVE[role]
            getattr(by_hand, role).push()
        by_hand.turn()
        by_hand.backend.pull()
        by_hand.pass_time(5.0)


def test_who_is_not_read_is_neither_silent_nor_idle(run_by_hand: Any) -> None:
    limits = Limits(ping_interval=30, ping_timeout=20, idle=40, slow_reader=1e6)
    with run_by_hand(Loop, limits, send_buffer=1) as by_hand:
        _be_behind(by_hand)
        _pass_a_minute(by_hand, "client")
        assert not by_hand.backend.received.strip(b"\x8a\x80\0")  # no ping of ours
        assert not by_hand.session.closing
        for _ in range(10):
            by_hand.settle()
            by_hand.pass_time(5.0)
        assert by_hand.session.closing  # it is idle, now that all is read


@pytest.mark.parametrize("asked", [False, True], ids=["by the clock", "by somebody"])
def test_a_ping_does_not_join_what_waits_for_its_peer(run_by_hand: Any, asked: bool) -> None:
    limits = Limits(ping_interval=inf if asked else 30, slow_reader=1e6)
    with run_by_hand(Loop, limits, send_buffer=1) as by_hand:
        _be_behind(by_hand)
        client = by_hand.session.client
        waiting = len(client.pending)
        if asked:
            by_hand.session.ping()
        _pass_a_minute(by_hand, "backend")
        assert len(client.pending) == waiting
        by_hand.settle()
        by_hand.pass_time(2.0)
        by_hand.client.pull()
        assert by_hand.client.received[-10:-8] == b"\x89\x08"


def test_a_peer_that_is_lost_unnoticed_gets_no_ping(run_by_hand: Any) -> None:
    """Its end is not read, for the other side is behind; that it takes nothing was seen."""
    with run_by_hand(Loop, Limits(slow_reader=1e6), send_buffer=1) as by_hand:
        session = by_hand.session
        while session.backend.pending is None:
            by_hand.client.outbox += b"\x82\xfe\x10\x00" + bytes(4 + 4096)
            by_hand.client.push()
            by_hand.turn()
        by_hand.client.sock.close()
        by_hand.backend.outbox += WHOLE
        by_hand.backend.push()
        by_hand.turn()
        assert session.client.sending is Sending.SHUT
        assert not session.closing
        written = session.client.written
        session.ping()
        by_hand.pass_time(1.0)
        assert session.client.written == written
        assert not session.client.walker.watch_pongs
        assert session.backend.heartbeat.wanted  # it has still to be sent what waits


def test_of_two_times_to_end_at_the_sooner_one_counts() -> None:
    wire = FakeWire()
    leg = Leg("client", wire, Walker(masked=True))
    dog = Watchdog(Limits(), 0.0)
    assert dog.look(leg, leg, 1.0) == Due(inf)
    dog.expire(20.0, 4001, "the token has expired")
    dog.expire(30.0, 4002, "too late")
    assert dog.look(leg, leg, 1.0) == Due(20.0)
    assert dog.look(leg, leg, 20.0) == End(4001, "the token has expired")
    dog.expire(10.0, 4003, "sooner")
    assert dog.look(leg, leg, 10.0) == End(4003, "sooner")
    wire.close()


def test_sessions_reach_their_maximum_age_a_little_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    ages = []
    wire = FakeWire()
    leg = Leg("client", wire, Walker(masked=True))
    for part in (0.0, 0.5, 1.0):
        monkeypatch.setattr(watchdog, "random", lambda part=part: part)
        decision = Watchdog(Limits(max_age=1000), 7.0).look(leg, leg, 7.0)
        assert isinstance(decision, Due)
        ages.append(decision.when - 7.0)
    wire.close()
    assert ages == [1000, 950, 900]


class Peers:
    """Two walkers, counting what the peers of a `Heartbeat` have sent."""

    def __init__(self) -> None:
        self.theirs = Walker(masked=True)
        self.others = Walker(masked=False)
        self.heartbeat = Heartbeat()

    def look(self, now: float, reading: bool = True) -> float:
        self.heartbeat.hear(self.theirs, self.others, reading, now)
        return self.heartbeat.look(self.others, 0, 30, 20, now)


def test_a_peer_is_asked_after_an_interval_and_gone_after_the_timeout() -> None:
    peers = Peers()
    assert peers.look(0) == 30
    assert peers.look(29) == 30
    assert peers.look(30) == 0
    peers.heartbeat.ask(30)
    assert peers.look(31) == 50
    assert peers.look(50) == -1


def test_none_is_sent_while_the_other_sides_ping_is_unanswered() -> None:
    peers = Peers()
    peers.look(0)
    peers.others.pings += 1
    assert peers.look(30) == 50  # it asks in our place
    peers.theirs.bytes += 6
    peers.theirs.pongs += 1
    assert peers.look(40) == 70
    assert peers.look(70) == 0


def test_silence_of_a_peer_that_is_not_read_means_nothing() -> None:
    peers = Peers()
    peers.look(0)
    assert peers.look(100, reading=False) == 130
    assert peers.look(129) == 130


def test_pongs_are_known_by_their_payload() -> None:
    heartbeat = Heartbeat()
    assert not heartbeat.is_ours(b"")
    older, newer = heartbeat.ask(0), heartbeat.ask(1)
    assert not heartbeat.is_ours(b"something")
    assert heartbeat.is_ours(older)
    assert heartbeat.is_ours(newer)
    heartbeat.answered(older, 9, 2)
    assert heartbeat.rtt is None
    heartbeat.answered(newer, 18, 3)
    assert heartbeat.rtt == 2


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 20), st.integers(0, 5000)), max_size=50),
    st.integers(1, 20),
    st.integers(100, 5000),
)
def test_over_any_time_no_more_passes_than_the_rate_and_a_burst(
    sent: list[tuple[float, int, int]], messages: int, size: int
) -> None:
    meter = Meter(Rate(messages, size), 0.0)
    now, all_messages, all_bytes = 0.0, 0, 0
    for pause, count, length in sent:
        now += pause
        all_messages += count
        all_bytes += length
        wait = meter.take(all_messages, all_bytes, now)
        assert wait >= 0
        now += wait
        # When it may send again, what was sent is covered by the time and the burst.
        assert all_messages <= messages * (now + 1) + 1e-6
        assert all_bytes <= size * (now + 1) + 1e-3
