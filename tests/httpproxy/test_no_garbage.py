"""What a request leaves behind is freed by its last reference: the collector finds nothing."""

from __future__ import annotations

import gc

import pytest
from tests.garbage import collect_before
from tests.httpproxy.conftest import Stage, Staging

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
CASES = {
    "answered": (GET, OK, b"ok"),
    "in pieces": (
        GET,
        CHUNKS,
        b"0\r\n\r\n",
    ),
    "with a body": (POST, OK, b"ok"),
    "refused": (GET, b"nonsense\r\n\r\n", b"answer"),
    "unanswered": (POST, b"", b"answer"),
}


async def once(stage: Stage, request: bytes, answer: bytes, end: bytes) -> None:
    client = await stage.ask(request)
    link = await stage.server.accept()
    await link.head()
    if answer:
        await link.send(answer)
    else:
        link.close()
    await client.until(end)
    client.close()
    link.close()


@pytest.mark.parametrize("case", CASES)
async def test_a_request_leaves_no_garbage(staging: Staging, case: str) -> None:
    async with staging(fields="maxIdleConnsPerHost: 0") as stage:
        await once(stage, *CASES[case])
        collect_before()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(3):
                await once(stage, *CASES[case])
            gc.collect()
            ours = [it for it in gc.garbage if type(it).__module__.startswith("easews")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        assert not ours
