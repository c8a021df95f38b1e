"""The nested selector and its traps, each of which somebody has walked into."""

from __future__ import annotations

import logging
import os
import socket
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from anyio.lowlevel import checkpoint
from tests.wsproxy.loops import plain_only
from websockets.frames import Opcode

from easews.net.poller import SelectorPoller
from easews_wsproxy.relay import loop as loop_module
from easews_wsproxy.relay import service as relay_module
from easews_wsproxy.relay import splice
from easews_wsproxy.relay.frames import Walker
from easews_wsproxy.relay.incoming import on_bytes
from easews_wsproxy.relay.interest import wants_bytes
from easews_wsproxy.relay.isolation import cut
from easews_wsproxy.relay.leg import Leg
from easews_wsproxy.relay.session import RelaySession
from easews_wsproxy.relay.sizes import BUFFER_BYTES, FLOOD_BYTES, TURN_BYTES
from easews_wsproxy.relay.watchdog import Limits


class Counting:
    """The relay's own loop, counting its turns."""

    def __init__(self, relay: Any) -> None:
        self._loop = relay._loop
        self.turns = 0
        relay._loop = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def turn(self, until: float) -> bool:
        self.turns += 1
        return bool(self._loop.turn(until))


async def _fill(relayed: Any) -> int:
    """Send from the backend until the relay stops reading it; how much that was."""
    frame = relayed.backend.frame(Opcode.BINARY, bytes(60_000))
    sent, rest = 0, b""
    while wants_bytes(relayed.session.backend):
        try:
            rest = rest or frame
            count = relayed.backend.sock.send(rest)
        except BlockingIOError:
            await checkpoint()
        else:
            sent, rest = sent + count, rest[count:]
    return sent


async def test_what_a_slow_reader_leaves_is_bounded_and_arrives(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        sent = await _fill(relayed)
        assert len(relayed.session.client.pending) <= BUFFER_BYTES
        relayed.backend.half_close()
        received = 0
        while data := await relayed.client.receive():
            received += len(data)
        assert received >= sent


async def test_a_reset_of_a_paused_side_does_not_spin(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        await _fill(relayed)
        taken = relayed.session.backend.walker.bytes
        relayed.backend.reset()
        counting = Counting(stage.relay)
        await anyio.sleep(0.3)
        assert counting.turns < 10
        assert len(await relayed.client.receive_exactly(taken)) == taken


async def test_an_ended_side_does_not_spin(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        relayed.client.half_close()
        await relayed.backend.receive_close()
        counting = Counting(stage.relay)
        await anyio.sleep(0.3)
        assert counting.turns < 10


@pytest.mark.slow
async def test_descriptors_are_reused_while_others_are_relayed(relaying: Any) -> None:
    async with relaying() as stage:
        steady = stage.open()
        passing = steady
        for number in range(2000):
            passing = stage.open(pair=socket.socketpair)
            stage.peers.clear()  # not to keep 4000 closed sockets for the end
            passing.client.sock.send(b"\x81\x80\0\0\0\0")
            if number % 100 == 0:
                assert await passing.backend.receive_text() == ""
                await steady.client.send_text(str(number))
                assert await steady.backend.receive_text() == str(number)
            passing.client.close()
            passing.backend.close()
            if number % 50 == 0:
                await passing.ended()
        with anyio.fail_after(30):
            while len(stage.relay._sessions) > 1:  # they need not end in the order of opening
                await checkpoint()
        await passing.ended()
        stage.peers += [steady.client, steady.backend]
        assert list(stage.relay._sessions) == [steady.session]


async def test_a_turn_ends_in_time_and_the_next_goes_on_where_it_was(relaying: Any) -> None:
    async with relaying() as stage:
        sessions = [stage.open() for _ in range(100)]
        for number, relayed in enumerate(sessions):
            relayed.client.sock.send(relayed.client.frame(Opcode.TEXT, str(number).encode()))
        turns = 1
        while not stage.relay._loop.turn(0.0):  # the time is always up
            turns += 1
        assert turns > 1
        for number, relayed in enumerate(sessions):
            assert await relayed.backend.receive_text() == str(number)


async def test_a_flood_of_tiny_frames_arrives(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        flood = b"\x82\x80\0\0\0\0" * 40_000
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.client.send, flood)
            assert await relayed.backend.receive_exactly(len(flood)) == flood
        assert relayed.session.traffic()[0].messages == 40_000


async def test_a_flood_is_read_in_smaller_pieces_where_python_walks_it(relaying: Any) -> None:
    async with relaying() as stage:
        session = stage.open().session
        client = session.client
        frame = b"\x82\x80\0\0\0\0"
        on_bytes(session, client, bytearray(frame * 300), 0, 1800, 0, 0.0)
        assert client.read_size == FLOOD_BYTES
        on_bytes(session, client, bytearray(b"\x82\xe4\0\0\0\0" + bytes(100)), 0, 106, 0, 0.0)
        assert client.read_size == TURN_BYTES


@plain_only
async def test_a_large_frame_is_read_in_large_pieces(
    relaying: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splice, "AVAILABLE", False)
    async with relaying() as stage:
        relayed = stage.open()
        frame = relayed.backend.frame(Opcode.BINARY, os.urandom(3_000_000))
        sizes = relayed.watch(relayed.session.backend).reads
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.backend.send, frame)
            assert await relayed.client.receive_exactly(len(frame)) == frame
        assert max(sizes) == BUFFER_BYTES


@plain_only
@pytest.mark.skipif(not splice.AVAILABLE, reason="there is no splice on this system")
async def test_the_inside_of_a_large_frame_is_spliced(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        moves = []
        move = stage.relay._receiver.pipe.move

        def watched(source: int, sink: int, count: int) -> Any:
            moves.append(move(source, sink, count))
            return moves[-1]

        stage.relay._receiver.pipe.move = watched
        frame = relayed.client.frame(Opcode.BINARY, os.urandom(3_000_000))
        text = relayed.client.frame(Opcode.TEXT, b"and on")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.client.send, frame + text)
            assert await relayed.backend.receive_exactly(len(frame)) == frame
            assert await relayed.backend.receive_text() == "and on"
        assert sum(came for came, _, _ in moves) > len(frame) / 2


@pytest.mark.skipif(not splice.AVAILABLE, reason="there is no splice on this system")
@pytest.mark.parametrize("leaver", ["client", "backend"])
async def test_a_side_that_is_lost_while_splicing_ends_the_session(
    relaying: Any, leaver: str
) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(close=0.3, slow_reader=0.3))
        await relayed.backend.send(b"\x82\x7f\0\0\0\0\x10\0\0\0" + bytes(500_000))
        await relayed.client.receive_exactly(300_000)
        getattr(relayed, leaver).reset()
        ending = await relayed.ended()
        assert (ending.by, ending.code) == (leaver, 1006)


def _broken(*_: object, **__: object) -> Any:
    raise RuntimeError("a fault of ours")


@pytest.mark.parametrize("part", ["walker", "send", "check", "settle"])
async def test_a_fault_ends_its_session_and_no_other(
    relaying: Any, part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with relaying() as stage:
        healthy, relayed = stage.open(), stage.open(Limits(close=0.3))
        session = relayed.session
        if part == "walker":
            monkeypatch.setattr(Walker, "_stops_at", _broken)
        elif part == "send":
            monkeypatch.setattr(Leg, "write", _broken)
        else:
            whole = getattr(RelaySession, part)
            monkeypatch.setattr(
                RelaySession,
                part,
                lambda each, now: _broken() if each is session else whole(each, now),
            )
        if part in ("walker", "send"):
            await relayed.client.send(relayed.client.frame(Opcode.CLOSE))
        if part != "send":
            assert await relayed.client.receive_close() == (1011, "internal error")
        await relayed.ended()
        monkeypatch.undo()
        await healthy.client.send_text("still here")
        assert await healthy.backend.receive_text() == "still here"
    assert "a fault of ours" in caplog.text


async def test_a_fault_at_the_very_end_of_a_session_is_contained(
    relaying: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with relaying() as stage:
        healthy, relayed = stage.open(), stage.open()
        opening = relayed.session.opening
        relayed.session._connection = SimpleNamespace(opening=opening, over=_broken)
        relayed.client.close()
        await relayed.backend.receive_close()
        relayed.backend.close()
        await healthy.client.send_text("still here")
        assert await healthy.backend.receive_text() == "still here"
    assert caplog.records[0].levelno == logging.ERROR


def test_a_fault_of_a_cut_is_logged(run_by_hand: Any, caplog: pytest.LogCaptureFixture) -> None:
    with run_by_hand(loop_module.Loop) as by_hand:
        with patch.object(RelaySession, "cut", _broken):
            cut(by_hand.session)
        assert not by_hand.session.is_over
    assert "a fault at its end" in caplog.text


async def test_a_relay_that_is_stopped_cuts_its_sessions(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
    assert relayed.endings[0].cause == "cut"
    assert relayed.session.client.wire is None
    assert relayed.session.backend.wire is None


async def test_the_relay_runs_on_systems_without_epoll(
    relaying: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "Loop", loop_module.Loop)
    monkeypatch.setattr(loop_module, "make_poller", SelectorPoller)
    async with relaying() as stage:
        relayed = stage.open()
        sent = await _fill(relayed)
        relayed.backend.half_close()
        received = 0
        while data := await relayed.client.receive():
            received += len(data)
        assert received >= sent


async def test_a_busy_relay_lets_others_have_their_turns(relaying: Any) -> None:
    """Not how long they wait, which is the machine's affair, but that they get to run."""
    async with relaying() as stage:
        busy = [stage.open() for _ in range(8)]

        async def pump(relayed: Any) -> None:
            frame = relayed.client.frame(Opcode.BINARY, bytes(16_000)) * 4
            while True:
                await relayed.client.send(frame)

        async def drain(relayed: Any) -> None:
            while True:
                await relayed.backend.receive()

        counting = Counting(stage.relay)
        async with anyio.create_task_group() as tasks:
            for relayed in busy:
                tasks.start_soon(pump, relayed)
                tasks.start_soon(drain, relayed)
            most = 0
            for _ in range(200):
                before = counting.turns
                await checkpoint()
                most = max(most, counting.turns - before)
            tasks.cancel_scope.cancel()
        assert counting.turns > 0
        assert most <= 3
