"""A name that leads somewhere else at each look-up: sessions stay, and nothing piles up."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from threading import Semaphore, Thread

import anyio
import pytest
from anyio import to_thread
from tests.e2e.gateway import LOOPBACK, PATIENCE, config, free_port, proxied
from tests.e2e.library import connect
from tests.nameserver import Nameserver, nameserver
from websockets.sync.client import ClientConnection
from websockets.sync.server import ServerConnection, serve

from easews.testing import gateway
from easews.upstream.servers import Member, Standing

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on its loopback interface"
)

LOOK_UPS = 12


class Moving:
    """Says `127.0.0.1` first, and another address of this host at each further question."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._asked = Semaphore(0)

    def addresses(self) -> Iterator[str]:
        for number in count(1):
            self._asked.release()
            self.said.append(f"127.0.{number // 250}.{number % 250}")
            yield self.said[-1]

    async def look_ups(self, many: int) -> None:
        """So many more have begun; all before the last one count by now."""
        while self._asked.acquire(blocking=False):
            pass
        with anyio.fail_after(PATIENCE):
            for _ in range(many):
                await to_thread.run_sync(self._asked.acquire)


@contextmanager
def everywhere() -> Iterator[int]:
    """A backend at every address of this host: it says which one was dialled, and echoes."""

    def session(ws: ServerConnection) -> None:
        ws.send(ws.socket.getsockname()[0])
        for message in ws:
            ws.send(message)

    with serve(session, "0.0.0.0", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(PATIENCE)


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with nameserver() as served:
        served.ttl = served.negative_ttl = 0
        yield served


def alive(kind: type) -> int:
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


def tasks() -> int:
    return len(anyio.get_running_tasks())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def fewest(moving: Moving, *counts: Callable[[], int]) -> list[int]:
    """The least of each count during some look-ups: what is there all the time."""
    found = []
    for _ in range(6):
        await moving.look_ups(1)
        found.append([one() for one in counts])
    return list(map(min, zip(*found, strict=True)))


def echoes(session: ClientConnection) -> bool:
    session.send("still here")
    return session.recv(PATIENCE) == "still here"


async def test_sessions_stay_and_nothing_piles_up(dns: Nameserver) -> None:
    moving = Moving()
    dns.moving["chat.test"] = moving.addresses()
    resolve = {"mode": "each", "nameservers": [dns.address], "minTtl": "20ms"}
    check = {"interval": "10ms", "tcp": {}}
    with everywhere() as port, ExitStack() as stack:
        url = f"ws://chat.test:{port}"
        text = config(free_port(), proxied("/ws", url, resolve=resolve, healthCheck=check))
        async with gateway(text) as running:

            def open_session() -> tuple[ClientConnection, str]:
                session = connect(f"ws://{LOOPBACK}:{running.address.port}/ws")
                return stack.enter_context(session), str(session.recv(PATIENCE))

            counts = (tasks, descriptors, lambda: alive(Member), lambda: alive(Standing))
            await moving.look_ups(2)
            before = await fewest(moving, *counts)
            sessions: dict[str, ClientConnection] = {}
            for _ in range(LOOK_UPS):
                await moving.look_ups(2)
                said = len(moving.said)
                session, address = await to_thread.run_sync(open_session)
                assert address in moving.said[said - 3 :]
                sessions[address] = session
            assert len(sessions) == LOOK_UPS
            assert len(running.sessions) == LOOK_UPS
            for session in sessions.values():
                assert await to_thread.run_sync(echoes, session)
                await to_thread.run_sync(session.close)
            while len(running.sessions):
                await moving.look_ups(1)
            after = await fewest(moving, *counts)
            for now, then in zip(after, before, strict=True):
                assert now < then + LOOK_UPS / 2  # each look-up would leave one
