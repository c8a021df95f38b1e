"""A read may get less than is there: in front of TCP urgent data, and behind passed descriptors."""

from __future__ import annotations

import array
import os
import socket
import time
from typing import Any

import anyio
import pytest
from tests.wsproxy.loops import plain_only
from websockets.frames import Opcode

from easews_wsproxy.relay import splice


def _text(peer: Any, text: str) -> bytes:
    frame: bytes = peer.frame(Opcode.TEXT, text.encode())
    return frame


@plain_only
async def test_a_frame_behind_urgent_data_is_delivered(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        for sender, reader in (
            (relayed.client, relayed.backend),
            (relayed.backend, relayed.client),
        ):
            sender.sock.send(_text(sender, "in front"))
            sender.sock.send(b"!", socket.MSG_OOB)
            sender.sock.send(_text(sender, "behind"))
            assert await reader.receive_text() == "in front"
            assert await reader.receive_text() == "behind"


@plain_only
async def test_urgent_data_between_turns_is_dropped(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        for text in ("one", "two"):
            await relayed.client.send_text(text)
            assert await relayed.backend.receive_text() == text
            relayed.client.sock.send(b"!", socket.MSG_OOB)
            await anyio.wait_all_tasks_blocked()
        relayed.client.half_close()
        assert await relayed.backend.receive_close() == (1001, "the client was lost")


@plain_only
@pytest.mark.skipif(not splice.AVAILABLE, reason="there is no splice on this system")
async def test_urgent_data_inside_a_spliced_frame_does_not_hold_it_up(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        frame = relayed.backend.frame(Opcode.BINARY, os.urandom(400_000))
        await relayed.backend.send(frame[:20_000])
        assert await relayed.client.receive_exactly(20_000) == frame[:20_000]
        relayed.backend.sock.send(frame[20_000:40_000])
        relayed.backend.sock.send(b"!", socket.MSG_OOB)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relayed.backend.send, frame[40_000:])
            rest = frame[20_000:]
            assert await relayed.client.receive_exactly(len(rest)) == rest


@plain_only
async def test_urgent_data_with_nothing_behind_it_does_not_spin(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        relayed.client.sock.send(_text(relayed.client, "in front"))
        relayed.client.sock.send(b"!", socket.MSG_OOB)
        assert stage.relay._loop.turn(time.monotonic() + 5)  # False when its time was up
        assert await relayed.backend.receive_text() == "in front"


@plain_only
async def test_a_frame_behind_passed_descriptors_is_delivered(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(pair=socket.socketpair)
        for sender, reader in (
            (relayed.client, relayed.backend),
            (relayed.backend, relayed.client),
        ):
            passed = array.array("i", [sender.sock.fileno()])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)]
            sender.sock.sendmsg([_text(sender, "with descriptors")], rights)
            sender.sock.send(_text(sender, "behind"))
            assert await reader.receive_text() == "with descriptors"
            assert await reader.receive_text() == "behind"
