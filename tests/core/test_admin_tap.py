"""A tap over HTTP: it lasts as long as whoever asked for it reads."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
from tests.core.test_admin_api import FakeControl

from easews.admin import Admin
from easews.config.model import AdminSpec

REQUEST = b"GET /api/v1/sessions/a-1/tap HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Tapped(FakeControl):
    """Tells one frame, and then waits for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = anyio.Event()

    async def tap(self, id: str) -> AsyncGenerator[dict[str, Any], None]:
        try:
            yield {"tapping": id}
            await anyio.sleep_forever()
        finally:
            self.ended.set()


async def test_a_tap_ends_when_its_client_leaves() -> None:
    control, admin = Tapped(), Admin(AdminSpec("127.0.0.1", 0, "", "", "token", (), "headers"))
    (address,) = admin.addresses
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(admin.serve, control)
        with anyio.fail_after(30):
            async with await anyio.connect_tcp(address.host, address.port) as client:
                await client.send(REQUEST)
                received = b""
                while b"}" not in received:
                    received += await client.receive()
                assert json.dumps({"tapping": "a-1"}).encode() in received
                assert not control.ended.is_set()
            await control.ended.wait()
        tasks.cancel_scope.cancel()
