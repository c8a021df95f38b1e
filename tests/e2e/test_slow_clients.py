"""A thousand clients that send a byte now and then, and fifty that ask as usual meanwhile."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter

import pytest

from .gateway import LOOPBACK, PATIENCE, Route, config, free_port, running

ROOT = Path(__file__).parents[2]
SLOW, HONEST, REQUESTS = 1000, 50, 20

# A turn in which another program ran beside the slow clients says nothing, so there are some.
TURNS, MOST = 8, 3.0
GET = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def slow_clients(port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.e2e.slow_clients", str(port), str(SLOW)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "all open\n"
        yield
        process.kill()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The backend: it answers a GET, and waits for the bodies of others."""
    try:
        while (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
            writer.write(ANSWER)
        while await reader.read(65536):
            pass
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def backend() -> AsyncIterator[int]:
    async with await asyncio.start_server(answer, LOOPBACK, 0, backlog=SLOW) as server:
        yield server.sockets[0].getsockname()[1]
        server.close()


async def delays_of_one(port: int) -> list[float]:
    """How long each of a client's requests took, over a connection that it keeps."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    delays = []
    for _ in range(REQUESTS):
        began = perf_counter()
        writer.write(GET)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(5) == b"hello"
        delays.append(perf_counter() - began)
    writer.close()
    return delays


async def median(port: int) -> float:
    """Of the delays of all honest clients: what slow clients do would delay every one of them.

    What else the machine does delays some. `bench/run --loads floods` has their slow end.
    """
    found = await asyncio.gather(*(delays_of_one(port) for _ in range(HONEST)))
    return statistics.median(delay for one in found for delay in one)


async def compare(port: int, folder: Path, loop: str) -> list[float]:
    """How many times as long requests took beside slow clients: turns until one is low enough."""
    ratios: list[float] = []
    async with backend() as backend_port:
        servers = [{"url": f"http://{LOOPBACK}:{backend_port}"}]
        proxy = {"kind": "Proxy", "name": "proxy", "pools": [{"servers": servers}]}
        text = config(port, Route("/", [proxy], path_fields={"clientMaxBodySize": -1}))
        with running(text, folder, "--backend", loop):
            await median(port)
            while len(ratios) < TURNS and min(ratios, default=MOST) >= MOST:
                quiet = await median(port)
                with slow_clients(port):
                    ratios.append(await median(port) / quiet)
    return ratios


@pytest.mark.slow
def test_honest_clients_hardly_notice_slow_ones(loop: str, tmp_path: Path) -> None:
    comparing = asyncio.wait_for(compare(free_port(), tmp_path, loop), 3 * PATIENCE)
    ratios = asyncio.run(comparing)
    assert min(ratios) < MOST, ratios
