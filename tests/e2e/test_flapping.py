"""A server that comes and goes: no handshake fails as long as another one is well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import anyio
import pytest
from anyio import to_thread
from tests.e2e.backends import Backend
from tests.e2e.gateway import LOOPBACK, PATIENCE, config, free_port, proxied
from tests.e2e.library import connect
from websockets.exceptions import ConnectionClosed

from easews.testing import gateway, load_config
from easews.upstream import Pool, ServerState

CLIENTS = 4
ROUNDS = 3
POOL: dict[str, Any] = {
    "loadBalance": {"policy": "roundRobin"},
    "healthCheck": {"interval": "50ms", "tcp": {}},
    "ejection": {"failures": 1, "for": "50ms", "maxFor": "100ms"},
}


class Seen:
    """A pool as a filter sees it: all pools of this process know the same of a server."""

    def __init__(self, text: str, backend: Backend) -> None:
        (pipeline,) = load_config(text).pipelines
        self._pool = Pool.from_spec(pipeline.filters[0].spec["pools"][0])
        self._url = backend.url
        self._changed = anyio.Event()
        self._pool.standings[backend.url].watch(self)

    def health_changed(self) -> None:
        self._changed.set()

    @property
    def state(self) -> ServerState:
        (found,) = (state for state in self._pool.states() if state.url == self._url)
        return found

    async def until(self, state: str) -> ServerState:
        while self.state.state != state:
            self._changed = anyio.Event()
            await self._changed.wait()
        return self.state


class Clients:
    """Open sessions again and again, and count where they lead to. A failure ends the test."""

    def __init__(self, port: int) -> None:
        self.led_to: Counter[str] = Counter()
        self._url = f"ws://{LOOPBACK}:{port}/ws"
        self._led = anyio.Event()

    async def keep_opening(self) -> None:
        while True:
            self.led_to[await to_thread.run_sync(self._open)] += 1
            self._led.set()

    def _open(self) -> str:
        with connect(self._url) as session, suppress(ConnectionClosed):
            return str(session.recv(PATIENCE))
        return ""  # it has died meanwhile

    async def until_led_to(self, backend: Backend, times: int) -> None:
        """So many more have come to this backend."""
        enough = self.led_to[str(backend.port)] + times
        while self.led_to[str(backend.port)] < enough:
            self._led = anyio.Event()
            await self._led.wait()


@pytest.fixture
def backends() -> Iterator[tuple[Backend, Backend]]:
    steady, flapping = Backend(), Backend()
    yield steady, flapping
    steady.close()
    flapping.close()


async def test_no_handshake_fails_and_the_state_says_since_when_and_why(
    backends: tuple[Backend, Backend],
) -> None:
    steady, flapping = backends
    text = config(free_port(), proxied("/ws", steady.url, flapping.url, **POOL))
    with anyio.fail_after(PATIENCE):
        async with gateway(text) as running, anyio.create_task_group() as opening:
            seen, clients = Seen(text, flapping), Clients(running.address.port)
            for _ in range(CLIENTS):
                opening.start_soon(clients.keep_opening)
            for _ in range(ROUNDS):
                await clients.until_led_to(flapping, CLIENTS)
                began = monotonic()
                await to_thread.run_sync(flapping.kill)
                down = await seen.until("down")
                assert "refused" in down.last_error
                assert 0 <= down.seconds <= monotonic() - began
                await clients.until_led_to(steady, 2 * CLIENTS)
                assert seen.state.seconds > down.seconds
                began = monotonic()
                await to_thread.run_sync(flapping.start)
                up = await seen.until("up")
                assert 0 <= up.seconds <= monotonic() - began
                assert up.last_error  # of the last time that it failed
            opening.cancel_scope.cancel()
