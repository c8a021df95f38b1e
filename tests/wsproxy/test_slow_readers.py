"""A slow reader on each side of a fast peer, for a while: EASEWS_SLOW_SECONDS=30 makes it long."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from websockets.frames import Opcode

from easews_wsproxy.batch import Batch
from easews_wsproxy.guard import Limits
from easews_wsproxy.leg import BUFFER_BYTES, SCARCE_BYTES, TURN_BYTES

SECONDS = float(os.environ.get("EASEWS_SLOW_SECONDS", "1"))
SIZES = [0, 1, 125, 126, 4096, 60_000, 70_000, 500_000]
#: A read is held, with what it was read behind: a header or control frame that was cut.
MOST_HELD = BUFFER_BYTES + 256
MIB = 1024 * 1024


def resident_bytes() -> int:
    """What this process has in memory; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


class Stream:
    """One direction: a peer that sends as fast as it can, and one that reads when it is told."""

    def __init__(self, source: Any, sink: Any) -> None:
        self._source = source
        self._sink = sink
        self._sent, self._received = hashlib.sha256(), hashlib.sha256()
        self.sent_bytes = self.received_bytes = 0
        self.stops = self.is_over = False

    async def send_fast(self) -> None:
        frames = [self._source.frame(Opcode.BINARY, os.urandom(size)) for size in SIZES]
        while not self.stops:
            for frame in frames:
                self._sent.update(frame)
                self.sent_bytes += len(frame)
                await self._source.send(frame)
                await checkpoint()
        self.is_over = True

    async def receive(self, most: int) -> None:
        data = await self._sink.receive(most)
        self._received.update(data)
        self.received_bytes += len(data)

    async def receive_all(self) -> None:
        while not (self.is_over and self.received_bytes == self.sent_bytes):
            if self.received_bytes < self.sent_bytes:
                await self.receive(1 << 20)
            await checkpoint()

    def nothing_is_lost(self) -> bool:
        return self._sent.digest() == self._received.digest()


async def test_slow_readers_on_both_sides_are_waited_for_and_lose_nothing(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        legs = relayed.session.client, relayed.session.backend
        streams = Stream(relayed.client, relayed.backend), Stream(relayed.backend, relayed.client)
        paused, most_held = [0, 0], 0
        before = resident_bytes()
        async with anyio.create_task_group() as tasks:
            for stream in streams:
                tasks.start_soon(stream.send_fast)
            with anyio.move_on_after(SECONDS):
                while True:
                    for number, stream in enumerate(streams):
                        await stream.receive(1000)
                        paused[number] += not legs[number].wants_bytes
                    most_held = max(most_held, *(len(leg.pending or b"") for leg in legs))
                    await anyio.sleep(0.005)
            grown = resident_bytes() - before
            for stream in streams:
                stream.stops = True
                tasks.start_soon(stream.receive_all)
        assert all(paused)
        assert 0 < most_held <= MOST_HELD
        assert grown < 32 * MIB
        assert all(stream.nothing_is_lost() for stream in streams)
        assert stage.relay._buffers.held == 0


def _held_for_the_backend(by_hand: Any) -> int:
    """How much is held for a backend that reads nothing, when its client sends a lot."""
    frame = b"\x82\xfa" + bytes(4 + 122)  # so long that reads end where frames do
    by_hand.client.outbox += frame * (2 * TURN_BYTES // len(frame))
    by_hand.client.push()
    by_hand.turn()
    return len(by_hand.session.backend.pending)


def test_the_more_is_held_for_others_the_less_is_held_for_one(
    run_by_hand: Any, batch_type: Any
) -> None:
    """A session that was open before, and has gone without a hitch, is no exception."""
    with run_by_hand(batch_type, send_buffer=1) as by_hand:
        buffers = by_hand.relay._buffers
        buffers.hold(buffers.limit + 1)
        assert 0 < _held_for_the_backend(by_hand) <= SCARCE_BYTES
        by_hand.settle()
        buffers.hold(-buffers.held)
        assert _held_for_the_backend(by_hand) > SCARCE_BYTES


@pytest.mark.parametrize("reads", [True, False])
def test_a_close_waits_behind_what_a_slow_reader_has_still_to_take(
    run_by_hand: Any, reads: bool
) -> None:
    """For as long as that takes; but one that takes nothing is given up after `slow_reader`."""
    limits = Limits(close=5.0, slow_reader=7.0)
    with run_by_hand(Batch, limits, send_buffer=1) as by_hand:
        by_hand.backend.outbox += b"\x82\x7e\x3e\x80" + bytes(16_000)
        by_hand.backend.push()
        by_hand.turn()
        by_hand.session.close(1001, "stopping")
        client, began = by_hand.session.client, by_hand.now
        while client.pending is not None:
            by_hand.pass_time(1.0)
            if reads and by_hand.now % 4 < 1:
                by_hand.client.pull(1000)
                by_hand.turn()
        waited = by_hand.now - began
        by_hand.client.pull()
        assert by_hand.client.received.endswith(b"stopping") == reads
        assert (client.sock is not None) == reads
        assert waited > 20 if reads else waited <= 5 + 7 + 3  # the clock looks in steps
