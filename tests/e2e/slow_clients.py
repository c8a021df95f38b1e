"""A program that opens many connections and hardly sends anything on them.

`python -m tests.e2e.slow_clients PORT COUNT` prints a line when all are open, and goes on until
its stdin ends. Half of them send the head of a request, half a body, a byte at a time.
"""

from __future__ import annotations

import asyncio
import resource
import sys

HEAD = b"GET / HTTP/1.1\r\nHost: example.test\r\nX-Slow: "
BODY = b"POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 1000000\r\n\r\n"
#: Seconds between two bytes on a connection.
PAUSE = 2.0


class Slow:
    """Slow connections, each of which is opened again when the server has ended it."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._missing = count
        self.all_open = asyncio.Event()

    async def keep(self, beginning: bytes) -> None:
        first = True
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(beginning)
                if first:
                    first = False
                    self._missing -= 1
                    if not self._missing:
                        self.all_open.set()
                while not writer.is_closing():
                    await asyncio.sleep(PAUSE)
                    writer.write(b"a")
            except OSError:
                await asyncio.sleep(PAUSE)


async def main(port: int, count: int) -> None:
    slow = Slow(port, count)
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(slow.keep(BODY if number % 2 else HEAD)))
        await asyncio.sleep(0.001)
    await slow.all_open.wait()
    print("all open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
