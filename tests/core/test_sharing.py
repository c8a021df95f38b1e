"""Workers that accept from the same sockets: each gets as many connections as the others."""

from __future__ import annotations

import socket
from array import array
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest
from tests.waiting import until

from easews.server import Listener, Share
from easews.server.sharing import ABSENT, LEFT_OVER
from easews.testing import Running, gateway

CONFIG = """
kind: HTTPServer
name: server
port: 80
rules: []
"""


def shares(*counts: int) -> list[Share]:
    shared = memoryview(array("q", counts))
    made = [Share(shared, number) for number in range(len(counts))]
    for share, count in zip(made, counts, strict=True):
        share.count(count)
    return made


@pytest.mark.parametrize(
    ("counts", "room"),
    [((0, 0), 1), ((3, 9), 7), ((9, 9), 1), ((9, 8), 0), ((9, 2, 30), -6), ((5,), ABSENT - 4)],
)
def test_a_worker_gets_one_more_than_the_one_that_has_least(
    counts: tuple[int, ...], room: int
) -> None:
    assert shares(*counts)[0].room == room


def test_one_that_has_left_is_waited_for_no_longer() -> None:
    busy, idle = shares(9, 0)
    idle.leave()
    idle.count(-1)
    assert busy.room > 0


async def test_one_that_has_more_takes_what_the_others_leave() -> None:
    busy, idle = shares(9, 0)
    assert await idle.turn() == 10
    assert await busy.turn() == LEFT_OVER


@asynccontextmanager
async def listening(running: Running, *given: Share) -> AsyncIterator[list[Listener]]:
    """A listener for each share, all on one socket."""
    site = running.gateway.listeners["server"].site
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        async with anyio.create_task_group() as tasks:
            made = [Listener([sock.dup()], site, share) for share in given]
            for one in made:
                tasks.start_soon(one.serve)
            yield made
            for one in made:
                one.cut()


async def test_connections_are_spread_evenly() -> None:
    counts = memoryview(array("q", [0] * 3))
    given = [Share(counts, number) for number in range(3)]
    async with gateway(CONFIG) as running, listening(running, *given) as listeners:
        async with AsyncExitStack() as clients:
            for _ in range(30):
                stream = await anyio.connect_tcp(*listeners[0].addresses[0])
                clients.push_async_callback(stream.aclose)
            await until(lambda: sum(counts) == 30)
            # One more than another, and what it then accepts because the others have left it.
            assert max(counts) - min(counts) <= 1 + LEFT_OVER
        await until(lambda: sum(counts) == 0)
