"""What goes to the client in one piece, and what does not wait for something else."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable

import anyio
import pytest

from easews import Response, Services
from easews.config.model import RequestLimits
from easews.net.waiting import receive
from easews.server.reader import RequestReader
from easews.server.watch import ClientWatch
from easews.server.writer import ResponseWriter

PATIENCE = 30
LIMITS = RequestLimits(PATIENCE, 1024, 1024, 100, PATIENCE, 0)


async def pieces() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


async def nothing_yet() -> AsyncIterator[bytes]:
    await anyio.sleep_forever()
    yield b""


async def write(response: Response, sock: socket.socket) -> None:
    """Write as the server does, which watches the client meanwhile."""
    watch, writer = ClientWatch(Services()), ResponseWriter(sock)
    writing = writer.write(response, method="GET", version="1.1", close=False)

    async def serve(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        await watch.serve(task_status.started)

    async with anyio.create_task_group() as tasks:
        await tasks.start(serve)
        reader = RequestReader(sock, LIMITS)
        await watch.during(writing, sock, reader, lambda: None, writer.send_head)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("response", "sent"),
    [
        (lambda: Response(200, content="hello"), [b"hello"]),
        (lambda: Response(200, body=pieces()), [b"4\r\none \r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"]),
        (lambda: Response(204), [b""]),
    ],
    ids=["content", "pieces", "no body"],
)
async def test_a_head_goes_along_with_what_is_there_of_its_body(
    response: Callable[[], Response], sent: list[bytes]
) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # it keeps writes apart
    with near, far:
        near.setblocking(False)
        far.settimeout(PATIENCE)
        await write(response(), near)
        writes = [far.recv(1000) for _ in sent]
        head, end, first = writes[0].partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 20")
        assert end
        assert [first, *writes[1:]] == sent


async def test_a_head_that_is_taken_slowly_does_not_wait_for_its_body_either() -> None:
    near, far = socket.socketpair()
    with near, far:
        for sock in (near, far):
            sock.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        response = Response(200, [("X", "y" * 100_000)], body=nothing_yet())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write, response, near)
            await anyio.wait_all_tasks_blocked()
            head = b""
            with anyio.fail_after(PATIENCE):
                while b"\r\n\r\n" not in head:
                    head += await receive(far)
            tasks.cancel_scope.cancel()
        assert len(head) > 100_000
