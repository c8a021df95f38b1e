"""Sessions that a stop or a drained server ends, with clients of somebody else's library."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, config, free_port, proxied, running
from tests.e2e.library import LibraryBackend, connect
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as async_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

#: Sessions, and the seconds over which a stop has to spread their Closes.
SESSIONS, WINDOW = 200, 4
#: What each session sends again and again: too much for one read.
TEXT = "x" * 100_000


def text(backend: LibraryBackend, drain: str) -> str:
    gateway = f"{{kind: Gateway, name: g, drain: {drain}, admin: {{address: '{LOOPBACK}:0'}}}}"
    return f"{config(free_port(), proxied('/ws', backend.url))}---\n{gateway}\n"


async def send_until_closed(ws: ClientConnection) -> tuple[int | None, float]:
    """Send and receive until it ends: the code of the Close that came, and when it came."""
    try:
        while True:
            await ws.send(TEXT)
            assert await ws.recv() == TEXT
            await asyncio.sleep(0.2)
    except ConnectionClosed as error:
        return error.rcvd.code if error.rcvd else None, time.monotonic()


def test_a_stop_under_load_gives_every_client_its_close_and_spreads_them(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    async def ended(url: str, stop: asyncio.Event) -> list[tuple[int | None, float]]:
        async with AsyncExitStack() as stack:
            sessions = [
                await stack.enter_async_context(async_connect(url)) for _ in range(SESSIONS)
            ]
            tasks = [asyncio.create_task(send_until_closed(ws)) for ws in sessions]
            await asyncio.sleep(0)
            stop.set()
            return await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)

    drain = f"{{window: {WINDOW}s, code: 1012, deadline: 30s}}"
    with running(text(own_backend, drain), tmp_path, "--backend", loop) as gateway:

        async def stop_when_open() -> list[tuple[int | None, float]]:
            stop = asyncio.Event()
            task = asyncio.create_task(ended(gateway.ws("/ws"), stop))
            await stop.wait()
            gateway.terminate()
            return await task

        found = asyncio.run(stop_when_open())
        assert gateway.wait() == 0
    # A frame that was cut would end a session without a Close, which is None here.
    assert [code for code, _ in found] == [1012] * SESSIONS
    times = sorted(at for _, at in found)
    spread = times[-1] - times[0]
    # Half of them came in the middle half of the time, more or less: no burst at either end.
    middle = [at for at in times if spread / 4 <= at - times[0] <= spread * 3 / 4]
    assert SESSIONS / 4 <= len(middle) <= SESSIONS * 3 / 4
    assert spread >= WINDOW / 2


def test_it_is_not_ready_during_the_delay_and_serves_all_the_same(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    drain = "{delay: 1h}"
    with running(text(own_backend, drain), tmp_path, "--backend", loop) as gateway:
        admin = gateway.admin_url()
        with httpx.Client(base_url=admin, timeout=PATIENCE) as client:
            assert client.get("/readyz").status_code == 200
            gateway.terminate()
            gateway.log.wait_for("requests are served for drain.delay")
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
            assert client.get("/api/v1/status").json()["state"] == "draining"
        with connect(gateway.ws("/ws")) as ws:
            ws.send("still served")
            assert ws.recv(PATIENCE) == "still served"
        gateway.log.wait_for("INFO session ")
        gateway.terminate()
        assert gateway.wait() == 0


def test_a_server_is_drained_and_used_again(
    loop: str, own_backend: LibraryBackend, tmp_path: Path
) -> None:
    with running(
        text(own_backend, "{code: 1012, window: 0}"), tmp_path, "--backend", loop
    ) as gateway:
        admin = gateway.admin_url()
        with (
            httpx.Client(base_url=f"{admin}/api/v1", timeout=PATIENCE) as client,
            connect(gateway.ws("/ws")) as ws,
        ):
            named = {"url": own_backend.url}
            assert client.post("/servers/drain", json=named).json() == {"sessions": 1}
            with pytest.raises(ConnectionClosed) as closed:
                ws.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
            with pytest.raises(InvalidStatus, match="503"):
                connect(gateway.ws("/ws"))
            (pool,) = client.get("/pools").json()
            assert [server["state"] for server in pool["servers"]] == ["drained"]
            assert client.post("/servers/undrain", json=named).json() == {"undrained": True}
            with connect(gateway.ws("/ws")) as again:
                again.send("back")
                assert again.recv(PATIENCE) == "back"
