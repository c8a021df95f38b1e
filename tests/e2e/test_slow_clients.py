"""A thousand clients that send a byte now and then, and fifty that ask as usual meanwhile."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter

import pytest

from .gateway import LOOPBACK, PATIENCE, Route, config, free_port, running

ROOT = Path(__file__).parents[2]
SLOW, HONEST, REQUESTS, ROUNDS, TURNS = 1000, 50, 20, 4, 3
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


async def p99(port: int) -> float:
    """The 99th percentile of the delays of all honest clients.

    It is the lowest of some rounds: what else the machine does delays some of them, and what slow
    clients do would delay all.
    """
    rounds = []
    for _ in range(ROUNDS):
        found = await asyncio.gather(*(delays_of_one(port) for _ in range(HONEST)))
        delays = sorted(delay for one in found for delay in one)
        rounds.append(delays[len(delays) * 99 // 100])
    return min(rounds)


async def compare(port: int, folder: Path, loop: str) -> tuple[float, float]:
    async with backend() as backend_port:
        servers = [{"url": f"http://{LOOPBACK}:{backend_port}"}]
        proxy = {"kind": "Proxy", "name": "proxy", "pools": [{"servers": servers}]}
        text = config(port, Route("/", [proxy], path_fields={"clientMaxBodySize": -1}))
        with running(text, folder, "--backend", loop):
            await p99(port)
            # By turns, so that another program's work does not fall on one side only.
            quiet, attacked = [], []
            for _ in range(TURNS):
                quiet.append(await p99(port))
                with slow_clients(port):
                    attacked.append(await p99(port))
            return min(quiet), min(attacked)


@pytest.mark.slow
def test_honest_clients_hardly_notice_slow_ones(loop: str, tmp_path: Path) -> None:
    comparing = asyncio.wait_for(compare(free_port(), tmp_path, loop), 3 * PATIENCE)
    quiet, attacked = asyncio.run(comparing)
    assert attacked < 3 * quiet, f"p99 is {attacked * 1000:.1f} ms, and was {quiet * 1000:.1f} ms"
