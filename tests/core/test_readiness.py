"""A function is called whenever a descriptor is readable, on every event loop."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import anyio
import pytest
from anyio.lowlevel import checkpoint

from easews.lowlevel import whenever_readable

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


async def test_it_is_called_for_each_arrival(pair: Pair) -> None:
    ours, theirs = pair
    seen: list[bytes] = []
    came = anyio.Event()

    def act() -> bool:
        seen.append(ours.recv(100))
        came.set()
        return True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(whenever_readable, ours.fileno(), act)
        for data in (b"one", b"two"):
            came = anyio.Event()
            theirs.send(data)
            await came.wait()
        tasks.cancel_scope.cancel()
    assert seen == [b"one", b"two"]


async def test_it_is_called_again_until_it_has_come_to_its_end(pair: Pair) -> None:
    ours, theirs = pair
    calls = 0
    done = anyio.Event()

    def act() -> bool:
        nonlocal calls
        if not calls:
            ours.recv(100)  # from here on nothing tells of what is left
        calls += 1
        if calls == 3:
            done.set()
        return calls >= 3

    async with anyio.create_task_group() as tasks:
        theirs.send(b"a lot")
        tasks.start_soon(whenever_readable, ours.fileno(), act)
        await done.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert calls == 3


async def test_others_have_a_turn_while_it_has_more_to_do(pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(b"a lot")  # and nobody reads it: the descriptor stays readable
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(whenever_readable, ours.fileno(), lambda: False)
        for _ in range(10):
            await checkpoint()
        tasks.cancel_scope.cancel()


async def test_what_it_raises_is_raised(pair: Pair) -> None:
    ours, theirs = pair

    def act() -> bool:
        raise LookupError("a fault")

    theirs.send(b"x")
    with pytest.raises(LookupError, match="a fault"):
        await whenever_readable(ours.fileno(), act)
    ours.recv(1)
    theirs.send(b"y")
    await anyio.wait_readable(ours)  # the descriptor is free again


async def test_it_is_not_called_once_it_is_cancelled(pair: Pair) -> None:
    ours, theirs = pair
    calls: list[None] = []
    called = anyio.Event()

    def act() -> bool:
        calls.append(None)
        called.set()
        return False

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(whenever_readable, ours.fileno(), act)
        theirs.send(b"x")
        await called.wait()
        tasks.cancel_scope.cancel()
    before = len(calls)
    for _ in range(3):
        await checkpoint()
    assert len(calls) == before
